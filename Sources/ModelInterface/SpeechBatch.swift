/// Speech of several threads that is made in common steps.
///
/// A step waits for all who take part. Whoever waits for something else, room in a queue for
/// instance, steps out until it goes on.
public protocol SpeechBatch: AnyObject, Sendable {
  /// Takes part from now on.
  func join()
  /// Takes part no more.
  func leave()
}

/// Which batch the current thread takes part in.
public enum CurrentSpeechBatch {
  @TaskLocal private static var current: (any SpeechBatch)?

  /// Takes part in a batch; without one only calls `body`.
  public static func take<Result>(
    partIn batch: (any SpeechBatch)?, _ body: () throws -> Result
  ) rethrows -> Result {
    guard let batch else { return try body() }
    batch.join()
    defer { batch.leave() }
    return try $current.withValue(batch) { try body() }
  }

  /// Steps out, if the current thread takes part in a batch, while `body` waits.
  public static func stepOut<Result>(_ body: () throws -> Result) rethrows -> Result {
    guard let current else { return try body() }
    current.leave()
    defer { current.join() }
    return try body()
  }
}
