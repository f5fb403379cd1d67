import Base
import Foundation
import Testing

@testable import Server

@Suite struct StreamTests {
  @Test func bytesArriveInOrder() async throws {
    let stream = SpeechStream()
    let maker = Thread {
      for number in 0..<1000 { try? stream.put([UInt8(truncatingIfNeeded: number), 7]) }
      stream.finish()
    }
    maker.start()
    var bytes: [UInt8] = []
    while let piece = try await stream.next() { bytes += piece }
    #expect(bytes == (0..<1000).flatMap { [UInt8(truncatingIfNeeded: $0), 7] })
    #expect(throws: Abandoned.self) { try stream.put([1]) }
  }

  @Test func aFailureComesAfterWhatWasMade() async throws {
    let stream = SpeechStream()
    try stream.put([1, 2])
    stream.fail()
    #expect(try await stream.next() == [1, 2])
    await #expect(throws: Abandoned.self) { try await stream.next() }
  }

  @Test func whatNobodyWantsIsNotMade() throws {
    let stream = SpeechStream()
    let released = Locked(0)
    do {
      let body = SpeechBody(stream) { released.withLock { $0 += 1 } }
      _ = body.makeAsyncIterator()
      try stream.put([1])
    }
    #expect(released.withLock { $0 } == 1)
    #expect(throws: Abandoned.self) { try stream.put([2]) }
  }

  @Test func theMakerWaitsForASlowClient() async throws {
    // Other tests may keep this one waiting for long.
    let stream = SpeechStream(limit: 100, patience: .seconds(3600))
    let made = Locked(0)
    let maker = Thread {
      for _ in 0..<50 {
        try? stream.put([UInt8](repeating: 1, count: 10))
        made.withLock { $0 += 1 }
      }
      stream.finish()
    }
    maker.start()
    try await Task.sleep(for: .milliseconds(200))
    #expect(made.withLock { $0 } == 10)
    var count = 0
    while let piece = try await stream.next() { count += piece.count }
    #expect(count == 500)
  }

  @Test func aClientThatTakesNothingIsGivenUp() throws {
    let stream = SpeechStream(limit: 10, patience: .milliseconds(50))
    try stream.put([UInt8](repeating: 1, count: 20))
    #expect(!stream.isStalled)
    // Waits for as long as it has patience.
    #expect(throws: Abandoned.self) { try stream.put([1]) }
  }

  @Test func aCancelledReaderGivesUp() async throws {
    let stream = SpeechStream()
    let reader = Task { try await stream.next() }
    try await Task.sleep(for: .milliseconds(50))
    reader.cancel()
    await #expect(throws: Abandoned.self) { try await reader.value }
    #expect(throws: Abandoned.self) { try stream.put([1]) }
  }
}
