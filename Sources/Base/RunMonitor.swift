/// What slow work far below a tool (a download) may tell the run and ask of it. The program sets
/// ``current`` once, at its start; without that nobody listens.
public struct RunMonitor: Sendable {
  private static let box = Locked(RunMonitor())

  /// The monitor of this process.
  public static var current: RunMonitor {
    get { box.withLock { $0 } }
    set { box.withLock { $0 = newValue } }
  }

  /// Shows a line that the next one replaces, on a terminal only.
  public var progress: @Sendable (String) -> Void
  /// Prints a warning, the first time only.
  public var warn: @Sendable (String) -> Void
  /// Throws when the run is to end.
  public var check: @Sendable () throws -> Void

  /// A monitor of given actions.
  public init(
    progress: @escaping @Sendable (String) -> Void = { _ in },
    warn: @escaping @Sendable (String) -> Void = { _ in },
    check: @escaping @Sendable () throws -> Void = {}
  ) {
    self.progress = progress
    self.warn = warn
    self.check = check
  }
}
