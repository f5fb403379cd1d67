import Base
import FlyingSocks
import Foundation

/// The bytes of one answer on their way from the thread that makes them to the connection that sends
/// them. It holds what was not sent yet, so that a slow client stops the maker only where that is much.
final class SpeechStream: Sendable {
  private struct State: Sendable {
    var bytes: [UInt8] = []
    var end: End?
    var waiter: CheckedContinuation<Void, Never>?
    var lastTaken = ContinuousClock.now
  }

  /// How it ended.
  private enum End: Sendable {
    case whole, broken
  }

  private let state = Locked(State())
  private let limit: Int
  private let patience: Duration

  /// A stream without bytes.
  ///
  /// - Parameters:
  ///   - limit: bytes that wait at most, about: eleven minutes of speech.
  ///   - patience: how long a client may take nothing.
  init(limit: Int = 32 << 20, patience: Duration = .seconds(60)) {
    self.limit = limit
    self.patience = patience
  }

  // MARK: The maker's side

  /// Adds bytes; waits while there are too many.
  ///
  /// - Throws: `Abandoned` when nobody wants them any more.
  func put(_ bytes: [UInt8]) throws {
    while true {
      let (isAdded, waiter) = try state.withLock { state in
        guard state.end == nil else { throw Abandoned() }
        guard state.bytes.count < limit else {
          return (false, nil as CheckedContinuation<Void, Never>?)
        }
        state.bytes += bytes
        return (true, state.waiter.take())
      }
      waiter?.resume()
      if isAdded { return }
      if isStalled { abandon() }
      Thread.sleep(forTimeInterval: 0.02)
    }
  }

  /// Says that all bytes were added.
  func finish() { end(.whole) }

  /// Says that the rest will never come.
  func fail() { end(.broken) }

  // MARK: The connection's side

  /// Gives up: what waits is dropped, and the other side learns of it. Nothing happens to a stream that
  /// was finished and sent.
  func abandon() {
    end(.broken)
    state.withLock { $0.bytes = [] }
  }

  /// Whether bytes wait that the client has not taken for too long.
  var isStalled: Bool {
    state.withLock { !$0.bytes.isEmpty && .now - $0.lastTaken > patience }
  }

  /// What was added since the last call; nil at the end.
  ///
  /// - Throws: `Abandoned` when the rest will never come.
  func next() async throws -> [UInt8]? {
    while true {
      let taken: [UInt8]?? = try state.withLock { state in
        state.lastTaken = .now
        if !state.bytes.isEmpty {
          defer { state.bytes = [] }
          return .some(state.bytes)
        }
        switch state.end {
        case .whole: return .some(nil)
        case .broken: throw Abandoned()
        case nil: return nil
        }
      }
      if let taken { return taken }
      await withTaskCancellationHandler {
        await withCheckedContinuation { continuation in
          let isReady = state.withLock { state in
            guard state.bytes.isEmpty, state.end == nil else { return true }
            state.waiter = continuation
            return false
          }
          if isReady { continuation.resume() }
        }
      } onCancel: {
        abandon()
      }
    }
  }

  private func end(_ end: End) {
    let waiter = state.withLock { state in
      state.end = state.end ?? end
      return state.waiter.take()
    }
    waiter?.resume()
  }
}

/// Nobody wants the rest.
struct Abandoned: Error {}

/// A stream as the body of an answer. When the connection lets go of it, before its end or after, the
/// stream is given up.
struct SpeechBody: AsyncBufferedSequence {
  typealias Element = UInt8

  fileprivate final class Hold: Sendable {
    let stream: SpeechStream
    let onRelease: @Sendable () -> Void

    init(_ stream: SpeechStream, _ onRelease: @escaping @Sendable () -> Void) {
      self.stream = stream
      self.onRelease = onRelease
    }

    deinit {
      stream.abandon()
      onRelease()
    }
  }

  private let hold: Hold

  /// - Parameter onRelease: called when the connection has let go.
  init(_ stream: SpeechStream, onRelease: @escaping @Sendable () -> Void) {
    hold = Hold(stream, onRelease)
  }

  func makeAsyncIterator() -> Iterator { Iterator(hold: hold) }

  struct Iterator: AsyncBufferedIteratorProtocol {
    fileprivate let hold: Hold

    func next() async throws -> UInt8? {
      // The server asks for buffers only.
      throw Abandoned()
    }

    func nextBuffer(suggested count: Int) async throws -> [UInt8]? {
      try await hold.stream.next()
    }
  }
}
