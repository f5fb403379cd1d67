import Base
import CMPI

/// How the processes of a group pass bytes to one another. Every process makes the same calls in the
/// same order; a call throws when another process is lost.
public protocol Transport: Sendable {
  /// This process's number, from 0.
  var rank: Int { get }
  /// How many processes there are.
  var size: Int { get }

  /// Hands bytes of each process, of one length, to all, in the order of ranks.
  func gather(_ sent: UnsafeRawBufferPointer, into received: UnsafeMutableRawBufferPointer) throws

  /// Hands bytes of one process to all.
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws

  /// Sends bytes to another process while receiving some of it.
  func exchange(
    _ sent: UnsafeRawBufferPointer, for received: UnsafeMutableRawBufferPointer, with peer: Int
  ) throws

  /// Waits until all processes leave.
  func leave()

  /// Ends all processes at once.
  func abort(code: Int32)
}

/// The processes that an MPI launcher started.
struct MPITransport: Transport {
  let rank: Int
  let size: Int

  /// Joins the others; nil where no launcher started this process as one of several.
  ///
  /// - Throws: `unavailable` when there is a launcher, but no library that works with it.
  init?() throws {
    guard cmpi_is_launched() else { return nil }
    var message = [CChar](repeating: 0, count: 512)
    var (rank, size): (Int32, Int32) = (0, 0)
    guard cmpi_start(&rank, &size, &message, message.count) else {
      let text = message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
      throw Failure.noMPI(String(decoding: text, as: UTF8.self))
    }
    self.rank = Int(rank)
    self.size = Int(size)
  }

  func gather(_ sent: UnsafeRawBufferPointer, into received: UnsafeMutableRawBufferPointer) throws {
    guard cmpi_gather(sent.baseAddress, received.baseAddress, Int32(sent.count)) else {
      throw Failure.lostProcess
    }
  }

  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws {
    guard cmpi_broadcast(bytes.baseAddress, Int32(bytes.count), Int32(root)) else {
      throw Failure.lostProcess
    }
  }

  func exchange(
    _ sent: UnsafeRawBufferPointer, for received: UnsafeMutableRawBufferPointer, with peer: Int
  ) throws {
    guard
      cmpi_exchange(
        sent.baseAddress, Int32(sent.count), received.baseAddress, Int32(received.count),
        Int32(peer))
    else { throw Failure.lostProcess }
  }

  func leave() { cmpi_finish() }

  func abort(code: Int32) { cmpi_abort(code) }
}
