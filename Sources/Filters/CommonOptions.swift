public import ArgumentParser
import Base

/// The options that every tool has.
public struct CommonOptions: ParsableArguments, Sendable {
  /// How messages on stderr look.
  public enum LogFormat: String, ExpressibleByArgument, CaseIterable, Sendable {
    /// `tool: message`
    case text
    /// One JSON object a line.
    case json
  }

  /// Threads to compute with.
  @Option(
    name: [.customShort("T"), .customLong("threads")],
    help: ArgumentHelp(
      "Compute on this many threads (0: one per core). Never changes the output.", valueName: "n"))
  var threadCount: Int = 0

  /// Errors only.
  @Flag(name: .shortAndLong, help: "Print errors only.")
  public var quiet = false

  /// More messages.
  @Flag(name: .shortAndLong, help: "Print more: every rejected record, a summary at the end.")
  public var verbose = false

  /// How messages look.
  @Option(help: ArgumentHelp("Messages on stderr as text or json lines.", valueName: "format"))
  public var log: LogFormat = .text

  /// Where the report goes.
  @Option(
    help: ArgumentHelp(
      "Write counts, times and the outcome to this file as JSON, also on failure.",
      valueName: "file"), completion: .file())
  public var report: String?

  /// Default options.
  public init() {}

  /// Whether the user chose a number of threads.
  public var choosesThreads: Bool { threadCount > 0 }

  /// Threads to compute with; at least 1.
  public var threads: Int { threadCount > 0 ? threadCount : ThreadBudget.processorCount }

  /// Checks what the parser cannot.
  public func validate() throws {
    guard (0...4096).contains(threadCount) else {
      throw ValidationError("-T must be between 0 and 4096.")
    }
    guard !(quiet && verbose) else {
      throw ValidationError("-q and -v exclude each other.")
    }
  }
}
