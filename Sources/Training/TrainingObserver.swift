/// What a run tells and asks while it goes on.
public struct TrainingObserver {
  /// A warning.
  public var warn: (String) -> Void
  /// Something worth a line.
  public var say: (String) -> Void
  /// A line that the next one replaces.
  public var progress: (String) -> Void
  /// Whether the run should end as soon as it can.
  public var isInterrupted: () -> Bool

  /// What a run tells and asks.
  public init(
    warn: @escaping (String) -> Void, say: @escaping (String) -> Void,
    progress: @escaping (String) -> Void, isInterrupted: @escaping () -> Bool
  ) {
    self.warn = warn
    self.say = say
    self.progress = progress
    self.isInterrupted = isInterrupted
  }
}
