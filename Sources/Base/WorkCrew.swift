import Foundation
import Glibc
import Synchronization

/// Threads that help with work that is split: they stay for a moment after a piece of work, since the
/// next one often comes within microseconds, and then sleep.
///
/// One piece of work has them at a time. Waking a thread that sleeps takes longer than many a matrix
/// product.
final class WorkCrew: Sendable {
  private let isTaken = Atomic<Bool>(false)
  /// How many may still join the work that is open.
  private let seats = Atomic<Int>(0)
  /// How many have finished with it.
  private let finished = Atomic<Int>(0)
  private let sleepers = Atomic<Int>(0)
  /// Takes part in what is to be done until nothing is left of it.
  private let work = Locked<(@Sendable () -> Void)?>(nil)
  private let threads = Locked(0)
  private let alarm = Monitor(())

  /// Looks of a thread before it sleeps, some tens of microseconds in all.
  private static let patience = 60_000

  /// Does work on this thread and others; returns when it is done.
  ///
  /// - Parameters:
  ///   - helpers: threads besides this one.
  ///   - perform: takes part in the work; called on each thread at most once.
  /// - Returns: false, and nothing was done, when others use the crew.
  func help(_ helpers: Int, _ perform: @escaping @Sendable () -> Void) -> Bool {
    guard isTaken.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged
    else { return false }
    hire(helpers)
    work.withLock { $0 = perform }
    finished.store(0, ordering: .relaxed)
    seats.store(helpers, ordering: .sequentiallyConsistent)
    if sleepers.load(ordering: .sequentiallyConsistent) > 0 { alarm.wake() }
    perform()
    // Whoever has not come by now need not come.
    let joined = helpers - seats.exchange(0, ordering: .acquiringAndReleasing)
    var waits = 0
    while finished.load(ordering: .acquiring) < joined {
      waits += 1
      if waits % 4000 == 0 { sched_yield() }
    }
    work.withLock { $0 = nil }
    isTaken.store(false, ordering: .releasing)
    return true
  }

  private func hire(_ count: Int) {
    let missing = threads.withLock { threads in
      defer { threads = max(threads, count) }
      return max(0, count - threads)
    }
    for _ in 0..<missing {
      Thread.detachNewThread { [self] in
        while true {
          waitForSeat()
          guard takeSeat() else { continue }
          takePart()
          finished.add(1, ordering: .releasing)
        }
      }
    }
  }

  /// A function of its own, so that the work, which is only lent, is let go of at its end.
  @inline(never)
  private func takePart() { work.withLock { $0 }?() }

  private func takeSeat() -> Bool {
    var free = seats.load(ordering: .relaxed)
    while free > 0 {
      let (done, now) = seats.compareExchange(
        expected: free, desired: free - 1, ordering: .acquiringAndReleasing)
      if done { return true }
      free = now
    }
    return false
  }

  private func waitForSeat() {
    for _ in 0..<Self.patience {
      if seats.load(ordering: .relaxed) > 0 { return }
    }
    sleepers.add(1, ordering: .sequentiallyConsistent)
    alarm.wait { _ in seats.load(ordering: .sequentiallyConsistent) > 0 ? () : nil }
    sleepers.subtract(1, ordering: .relaxed)
  }
}
