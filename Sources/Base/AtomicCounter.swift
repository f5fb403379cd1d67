import Synchronization

/// A counter that several threads draw numbers from.
public final class AtomicCounter: Sendable {
  private let value = Atomic<Int>(0)

  /// A counter at 0.
  public init() {}

  /// The next number: 0, 1, 2 …
  public func take() -> Int { value.wrappingAdd(1, ordering: .relaxed).oldValue }
}
