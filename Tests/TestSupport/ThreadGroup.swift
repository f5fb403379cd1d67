import Base
import Foundation
public import Processes

/// Threads that pass bytes to one another as processes do.
struct ThreadTransport: Transport {
  /// Where all leave their bytes and wait for those of the others.
  final class Meeting: Sendable {
    private struct State {
      var left: [Int: [UInt8]] = [:]
      var complete: [Int: [UInt8]] = [:]
      var round = 0
    }
    let size: Int
    private let state = Monitor(State())

    init(size: Int) { self.size = size }

    func meet(_ rank: Int, _ bytes: [UInt8]) -> [[UInt8]] {
      let round = state.withLock { state in
        defer {
          state.left[rank] = bytes
          if state.left.count == size {
            state.complete = state.left
            state.left = [:]
            state.round += 1
          }
        }
        return state.round
      }
      let all = state.wait { $0.round > round ? $0.complete : nil }
      return (0..<size).map { all[$0] ?? [] }
    }
  }

  let meeting: Meeting
  let rank: Int
  var size: Int { meeting.size }

  func gather(_ sent: UnsafeRawBufferPointer, into received: UnsafeMutableRawBufferPointer) {
    received.copyBytes(from: meeting.meet(rank, Array(sent)).joined())
  }

  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) {
    bytes.copyBytes(from: meeting.meet(rank, Array(bytes))[root])
  }

  func exchange(
    _ sent: UnsafeRawBufferPointer, for received: UnsafeMutableRawBufferPointer, with peer: Int
  ) {
    let bytes = meeting.meet(rank, Array(sent))[peer]
    precondition(bytes.count == received.count)
    received.copyBytes(from: bytes)
  }

  func leave() {}
  func abort(code: Int32) {}
}

/// Does work in a group of threads, each as if it were a process; what each came to.
public func inGroup<Value: Sendable>(
  of size: Int, _ body: @escaping @Sendable (ProcessGroup) throws -> Value
) -> [Result<Value, any Error>] {
  let meeting = ThreadTransport.Meeting(size: size)
  let results = Locked<[Int: Result<Value, any Error>]>([:])
  let done = DispatchGroup()
  for rank in 0..<size {
    done.enter()
    let thread = Thread {
      let group = ProcessGroup(ThreadTransport(meeting: meeting, rank: rank))
      let result = Result {
        var value: Value?
        try group.together { value = try body(group) }
        guard let value else { throw Failure(.internalFault, problem: "no value of a thread") }
        return value
      }
      results.withLock { $0[rank] = result }
      done.leave()
    }
    thread.stackSize = 8 << 20
    thread.start()
  }
  done.wait()
  return results.withLock { results in (0..<size).compactMap { results[$0] } }
}
