import Synchronization

/// A value behind a lock: the only locks of the project are in this module.
public final class Locked<Value: Sendable>: Sendable {
  private let mutex: Mutex<Value>

  /// A locked value.
  public init(_ value: Value) { mutex = Mutex(value) }

  /// Reads or changes the value, alone.
  public func withLock<Result: Sendable>(
    _ body: (inout Value) throws -> Result
  ) rethrows -> Result {
    try mutex.withLock { value in
      try body(&value)
    }
  }
}
