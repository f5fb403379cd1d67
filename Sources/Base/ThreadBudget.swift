import Dispatch
import Foundation
import Synchronization

/// How many threads the process may compute with, and the one way to split work among them.
///
/// A tool sets the limit from `-T` at start. Work split inside a worker of an outer pool stays on
/// that worker's thread. How work is split never changes a result: pieces are independent.
public enum ThreadBudget {
  private static let limitBox = Locked<Int>(processorCount)
  @TaskLocal private static var isInside = false

  /// Processors this process may run on.
  public static var processorCount: Int { ProcessInfo.processInfo.activeProcessorCount }

  /// Threads that may compute at a time; at least 1.
  public static var limit: Int {
    get { limitBox.withLock { $0 } }
    set { limitBox.withLock { $0 = max(1, newValue) } }
  }

  /// Threads that work a stage of its own needs at the moment.
  private static let taken = Atomic<Int>(0)

  /// Threads among which work can be split here: 1 inside of work that was split already.
  public static var available: Int {
    isInside ? 1 : max(1, limit - taken.load(ordering: .relaxed))
  }

  /// Runs a stage beside others, on this thread alone; what others split in the meantime leaves it a
  /// thread.
  public static func beside<Result>(_ body: () throws -> Result) rethrows -> Result {
    taken.add(1, ordering: .relaxed)
    defer { taken.subtract(1, ordering: .relaxed) }
    return try alone(body)
  }

  /// Runs work as one worker among others: what it splits stays on its own thread.
  public static func alone<Result>(_ body: () throws -> Result) rethrows -> Result {
    try $isInside.withValue(true) { try body() }
  }

  /// Runs the work of several workers that wait for it, on the thread of one of them.
  public static func forAll<Result>(_ body: () throws -> Result) rethrows -> Result {
    try $isInside.withValue(false) { try body() }
  }

  /// Calls `body` for every index in 0 ..< count, on several threads; returns when all are done.
  ///
  /// - Parameter body: independent of the order and of the other calls.
  public static func forEach(_ count: Int, _ body: @Sendable (Int) -> Void) {
    let threads = min(available, count)
    guard threads > 1 else {
      for index in 0..<count { body(index) }
      return
    }
    let next = AtomicCounter()
    DispatchQueue.concurrentPerform(iterations: threads) { _ in
      $isInside.withValue(true) {
        while true {
          let index = next.take()
          guard index < count else { return }
          body(index)
        }
      }
    }
  }
}
