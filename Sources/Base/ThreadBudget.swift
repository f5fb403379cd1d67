import Dispatch
import Foundation
import Synchronization

/// How many threads the process may compute with, and the one way to split work among them.
///
/// A tool sets the limit from `-T` at start. Work split inside a worker of an outer pool stays on
/// that worker's thread. How work is split never changes a result: pieces are independent.
public enum ThreadBudget {
  private static let limitBox = Locked<Int>(processorCount)
  @TaskLocal private static var place = Place.outside

  /// Whose work the current thread does.
  private enum Place: Sendable {
    /// The process's one main job, which splits it among all threads that no stage has taken.
    case outside
    /// A stage's that may split it.
    case stage
    /// One worker's among others.
    case worker
  }

  /// Processors this process may run on: fewer than there are where a launcher bound it to some.
  public static var processorCount: Int {
    let digits = allowedProcessors.compactMap(\.hexDigitValue)
    let count = digits.reduce(0) { $0 + $1.nonzeroBitCount }
    return count > 0 ? count : ProcessInfo.processInfo.activeProcessorCount
  }

  /// The set of these processors as the system writes it, in hexadecimal; empty where it does not.
  public static var allowedProcessors: String {
    let status = (try? readFile("/proc/self/status")) ?? []
    let line = String(decoding: status, as: UTF8.self).split(separator: "\n")
      .first { $0.hasPrefix("Cpus_allowed:") }
    return line?.split(whereSeparator: \.isWhitespace).last.map(String.init) ?? ""
  }

  /// Threads that may compute at a time; at least 1.
  public static var limit: Int {
    get { limitBox.withLock { $0 } }
    set { limitBox.withLock { $0 = max(1, newValue) } }
  }

  /// Threads that stages have taken: one of each.
  private static let taken = Monitor(0)
  /// The same number for whoever only looks.
  private static let takenNow = Atomic<Int>(0)

  /// Threads among which work can be split here: 1 inside of work that was split already.
  public static var available: Int {
    switch place {
    case .worker: 1
    case .outside: max(1, limit - takenNow.load(ordering: .relaxed))
    case .stage: max(1, 1 + limit - takenNow.load(ordering: .relaxed))
    }
  }

  /// Runs a stage beside others, as soon as one of the threads is free.
  ///
  /// What others split in the meantime leaves it that thread. It must not wait for other stages.
  ///
  /// - Parameter splits: whether its work is split among the threads that are left.
  public static func inTurn<Result>(splits: Bool = false, _ body: () throws -> Result) rethrows
    -> Result
  {
    taken.wait { taken -> Void? in
      guard taken < limit else { return nil }
      taken += 1
      takenNow.store(taken, ordering: .relaxed)
      return ()
    }
    defer {
      taken.withLock { taken in
        taken -= 1
        takenNow.store(taken, ordering: .relaxed)
      }
    }
    return try $place.withValue(splits ? .stage : .worker) { try body() }
  }

  /// Runs work as one worker among others: what it splits stays on its own thread.
  public static func alone<Result>(_ body: () throws -> Result) rethrows -> Result {
    try $place.withValue(.worker) { try body() }
  }

  private static let crew = WorkCrew()

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
    withoutActuallyEscaping(body) { body in
      let perform: @Sendable () -> Void = {
        $place.withValue(.worker) {
          while true {
            let index = next.take()
            guard index < count else { return }
            body(index)
          }
        }
      }
      guard !crew.help(threads - 1, perform) else { return }
      DispatchQueue.concurrentPerform(iterations: threads) { _ in perform() }
    }
  }
}
