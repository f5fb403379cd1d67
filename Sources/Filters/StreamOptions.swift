public import ArgumentParser
import Base
import Records

/// Where records come from.
public struct InputOptions: ParsableArguments, Sendable {
  /// The operands as given.
  @Argument(
    help: ArgumentHelp("Record files, in order; - or none is standard input.", valueName: "file"),
    completion: .file(extensions: ["ttsr"]))
  public var operands: [String] = []

  /// Which operands are ours.
  @Option(
    help: ArgumentHelp(
      "Read only each N-th file of the sorted list, from the K-th (K counts from 0).",
      valueName: "k/n"))
  public var shard: Share?

  /// No operands.
  public init() {}

  /// The files to read: "-" is standard input. Empty when this task's share has none.
  public func paths() throws -> [String] {
    let named = operands.isEmpty ? ["-"] : operands
    return try shard?.files(of: named) ?? named
  }
}

/// One task's share of the work: `--shard K/N`.
public struct Share: ExpressibleByArgument, Sendable, Hashable {
  /// Which one, from 0.
  public var index: Int
  /// Of how many.
  public var count: Int

  /// A share; nil unless 0 <= K < N.
  public init?(argument: String) {
    let parts = argument.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let index = Int(parts[0]), let count = Int(parts[1]),
      index >= 0, index < count
    else { return nil }
    self.index = index
    self.count = count
  }

  /// The files of a list that belong to the share: each N-th of the sorted list.
  ///
  /// - Throws: `usage` where standard input is among them.
  public func files(of paths: [String]) throws -> [String] {
    guard !paths.contains("-") else { throw Failure.shardOfStandardInput }
    let sorted = paths.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    return sorted.indices.filter { $0 % count == index }.map { sorted[$0] }
  }

  /// Whether a record of this id belongs to the share, wherever it stands.
  public func contains(id: String) -> Bool {
    let bytes = SHA256Digest(of: id.utf8).bytes
    let number = bytes.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    return number % UInt64(count) == UInt64(index)
  }
}

/// Where records go.
public struct OutputOptions: ParsableArguments, Sendable {
  /// The output file; nil is standard output.
  @Option(
    name: [.short, .long],
    help: ArgumentHelp(
      "Write to this file, which gets its name only when it is whole (default: standard output).",
      valueName: "file"), completion: .file(extensions: ["ttsr"]))
  public var output: String?

  /// How hard to compress.
  @OptionGroup public var level: LevelOptions

  /// Default options.
  public init() {}
}

/// How hard to compress.
public struct LevelOptions: ParsableArguments, Sendable {
  /// Compression level.
  @Option(
    name: [.customShort("z"), .customLong("level")],
    help: ArgumentHelp("Compression level, from 1 to 19.", valueName: "n"))
  var levelNumber: Int = RecordWriter.defaultLevel

  /// The fastest level.
  @Flag(
    name: [.customShort("u"), .customLong("fast")],
    help: "Compress as little as possible, for use inside pipes.")
  var fast = false

  /// Default options.
  public init() {}

  /// The zstd level: negative for the fastest.
  public var number: Int { fast ? RecordWriter.fastestLevel : levelNumber }

  /// Checks what the parser cannot.
  public func validate() throws {
    guard (1...19).contains(levelNumber) else {
      throw ValidationError("-z must be between 1 and 19.")
    }
  }
}

/// What happens to records that a tool cannot process.
public struct RejectOptions: ParsableArguments, Sendable {
  /// Keep a bad record, marked, or stop.
  public enum OnError: String, ExpressibleByArgument, CaseIterable, Sendable {
    /// Keep the record, unprocessed, with the reason in `rejected`.
    case reject
    /// Stop the run.
    case fail
  }

  /// Keep a bad record, marked, or stop.
  @Option(
    help: ArgumentHelp(
      "What to do with a record that cannot be processed: reject (keep it, marked) or fail.",
      valueName: "action"))
  public var onError: OnError = .reject

  /// How many are too many.
  @Option(
    help: ArgumentHelp(
      "Stop when more ids than this are rejected: a number, or a share of those so far, at least 10.",
      valueName: "n|p%"))
  public var maxRejected: RejectLimit = .percent(1)

  /// Default options.
  public init() {}
}

/// Whether to print the stage id instead of working.
public struct StageIDOption: ParsableArguments, Sendable {
  /// Print the id and end.
  @Flag(
    name: .customLong("stage-id"),
    help: "Print the id of this stage (options and models) and end; reads no input.")
  public var isAsked = false

  /// Not asked.
  public init() {}
}

/// All that a filter over record streams has in common: `@OptionGroup var stream: StreamOptions`.
public struct StreamOptions: ParsableArguments, Sendable {
  /// Where records come from.
  @OptionGroup public var input: InputOptions
  /// Where they go.
  @OptionGroup public var output: OutputOptions
  /// What happens to bad ones.
  @OptionGroup public var rejects: RejectOptions
  /// Whether to print the stage id.
  @OptionGroup public var stageID: StageIDOption
  /// The options that every tool has.
  @OptionGroup public var common: CommonOptions

  /// Default options.
  public init() {}
}

/// All that a source of record streams has in common: `@OptionGroup var stream: SourceOptions`.
public struct SourceOptions: ParsableArguments, Sendable {
  /// Which utterances are ours.
  @Option(
    help: ArgumentHelp(
      "Import only this task's share of N of the utterances, by a hash of the id (K from 0).",
      valueName: "k/n"))
  public var shard: Share?
  /// Where records go.
  @OptionGroup public var output: OutputOptions
  /// What happens to bad ones.
  @OptionGroup public var rejects: RejectOptions
  /// Whether to print the stage id.
  @OptionGroup public var stageID: StageIDOption
  /// The options that every tool has.
  @OptionGroup public var common: CommonOptions

  /// Default options.
  public init() {}
}

/// The seed of a tool whose output is random: a record's randomness depends on (seed, id).
public struct SeedOption: ParsableArguments, Sendable {
  /// The seed.
  @Option(help: ArgumentHelp("Seed of the random numbers.", valueName: "n"))
  public var seed: UInt64 = 0

  /// Seed 0.
  public init() {}
}
