import Dispatch
import Foundation

/// Work done on one of the process's background threads while its owner goes on.
///
/// The work must not wait for other jobs. There are as many threads as `ThreadBudget.limit` was when
/// jobs were started; with a limit of 1 the work is done where its value is asked for.
public final class Job<Value: Sendable>: Sendable {
  private enum State: Sendable {
    case waiting(@Sendable () throws -> Value)
    case running
    case done(Result<Value, any Error>)
  }
  private let state: Locked<State>
  private let signal = DispatchSemaphore(value: 0)

  /// Hands work to a background thread.
  public init(_ work: @escaping @Sendable () throws -> Value) {
    state = Locked(.waiting(work))
    if ThreadBudget.limit > 1 { BackgroundThreads.run { self.run() } }
  }

  /// A job that is done.
  public init(done value: Value) { state = Locked(.done(.success(value))) }

  private func run() {
    let work: (@Sendable () throws -> Value)? = state.withLock { state in
      guard case .waiting(let work) = state else { return nil }
      state = .running
      return work
    }
    guard let work else { return }
    let result = Result { try work() }
    state.withLock { $0 = .done(result) }
    signal.signal()
  }

  /// Whether the value is there.
  public var isDone: Bool {
    state.withLock {
      if case .done = $0 { true } else { false }
    }
  }

  /// The value, or what the work threw; waits for it, or does the work here if nobody has begun.
  public func value() throws -> Value {
    run()
    while true {
      let result: Result<Value, any Error>? = state.withLock {
        if case .done(let result) = $0 { result } else { nil }
      }
      if let result { return try result.get() }
      signal.wait()
      // For whoever else waits.
      signal.signal()
    }
  }
}

/// The threads that jobs run on.
private enum BackgroundThreads {
  private struct Queue: Sendable {
    var work: [@Sendable () -> Void] = []
    var threads = 0
  }
  private static let queue = Locked(Queue())
  private static let waiting = DispatchSemaphore(value: 0)

  static func run(_ work: @escaping @Sendable () -> Void) {
    let limit = ThreadBudget.limit
    let needsThread = queue.withLock { queue in
      queue.work.append(work)
      guard queue.threads < limit else { return false }
      queue.threads += 1
      return true
    }
    if needsThread {
      Thread.detachNewThread {
        while true {
          waiting.wait()
          let next = queue.withLock { $0.work.isEmpty ? nil : $0.work.removeFirst() }
          next?()
        }
      }
    }
    waiting.signal()
  }
}
