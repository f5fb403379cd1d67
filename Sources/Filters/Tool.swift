public import ArgumentParser

/// What every tool and every group of subcommands says about itself.
public struct ToolDescription: Sendable {
  /// The name that is typed; for a subcommand both words, as in "tts-tokenize train".
  public var name: String
  /// Raised only when the output for the same input and options changes; part of the stage id.
  public var outputVersion: Int
  /// One line for the head of `--help`.
  public var abstract: String
  /// Command lines that `--help` shows first.
  public var examples: [String]
  /// What else a user should know, in a few lines; an empty line begins a paragraph.
  public var discussion: String

  /// A description with all its parts.
  public init(
    name: String, outputVersion: Int = 1, abstract: String, examples: [String] = [],
    discussion: String = ""
  ) {
    self.name = name
    self.outputVersion = outputVersion
    self.abstract = abstract
    self.examples = examples
    self.discussion = discussion
  }

  /// The name of the program: the first word of `name`.
  public var program: String { name.split(separator: " ").first.map(String.init) ?? name }

  /// The name of the command below its parent: the last word of `name`.
  public var command: String { name.split(separator: " ").last.map(String.init) ?? name }

  /// What swift-argument-parser wants to know.
  public func configuration(
    subcommands: [any ParsableCommand.Type] = [],
    defaultSubcommand: (any ParsableCommand.Type)? = nil
  ) -> CommandConfiguration {
    var text: [String] = []
    if !examples.isEmpty {
      text.append("EXAMPLES:\n" + examples.map(Self.broken).joined(separator: "\n"))
    }
    if !discussion.isEmpty {
      let paragraphs = discussion.split(separator: "\n\n")
      text += paragraphs.map { String($0).replacing("\n", with: " ") }
    }
    return CommandConfiguration(
      commandName: command, abstract: abstract, discussion: text.joined(separator: "\n\n"),
      version: "\(program) (ttstools) \(toolkitVersion)", subcommands: subcommands,
      defaultSubcommand: defaultSubcommand)
  }

  /// A command line broken as a shell allows, where help would break it as prose.
  private static func broken(_ example: String) -> String {
    var lines = ["  "]
    for word in example.split(separator: " ", omittingEmptySubsequences: false) {
      let line = lines[lines.count - 1]
      if line.count + word.count > 75, line.contains(where: { $0 != " " }) {
        lines[lines.count - 1] += " \\"
        lines.append("      " + word)
      } else {
        lines[lines.count - 1] += (line.hasSuffix(" ") ? "" : " ") + word
      }
    }
    return lines.joined(separator: "\n")
  }
}

/// The version of the toolkit, as `--version` prints it. It is no part of a stage: what changes
/// output is `ToolDescription.outputVersion`.
public let toolkitVersion = "0.1.0"

/// A program whose work is all in its subcommands. Mark it `@main`; override `configuration` with
/// `tool.configuration(subcommands: [View.self, …])`.
public protocol ToolGroup: ParsableCommand {
  /// Name, abstract and examples.
  static var tool: ToolDescription { get }
  /// The arguments that are parsed for those that were given, among which a file of arguments may be
  /// named.
  ///
  /// - Throws: `Failure` for a file that is not one.
  static func expand(_ arguments: [String]) throws -> [String]
}

/// A program, or a subcommand, with options and work to do.
///
/// `main` parses, installs signal handling, runs `execute`, prints a `Failure` once as
/// `tool: file: record 'id': problem; remedy`, writes `--report` and exits with the failure's code.
/// A tool neither prints to stderr nor exits itself; it throws.
///
/// ```swift
/// @main
/// struct Duration: Tool {
///   static let tool = ToolDescription(
///     name: "tts-duration", abstract: "Print the seconds of audio in a stream.",
///     examples: ["tts-duration shards/train-00000.ttsr"])
///   @OptionGroup(title: "Input") var input: InputOptions
///   @OptionGroup(title: "General") var common: CommonOptions
///
///   func execute(_ run: ToolRun) throws {
///     let records = try RecordInput(input, run)
///     var seconds = 0.0
///     while let record = try records.next() { seconds += record.seconds ?? 0 }
///     let output = try ByteOutput(path: nil)
///     try output.write("\(seconds)\n")
///     try output.finish()
///   }
/// }
/// ```
public protocol Tool: ToolGroup {
  /// The options that every tool has.
  var common: CommonOptions { get }

  /// Does the work. `run` gives warnings, progress, counters and the interrupted flag.
  func execute(_ run: ToolRun) throws
}

extension ToolGroup {
  /// What swift-argument-parser wants to know, from `tool`.
  public static var configuration: CommandConfiguration { tool.configuration() }

  /// As they were given.
  public static func expand(_ arguments: [String]) throws -> [String] { arguments }

  /// Runs the program.
  public static func main() { runProgram(Self.self) }
}

/// A tool with commands of their own beside it, `tts-synth serve` beside `tts-synth`: anything but a
/// command's name runs the tool itself, so that its options stand in its `--help`, which has to name the
/// commands ("see tts-synth serve --help").
public protocol ToolWithCommands: Tool {
  /// The commands.
  static var commands: [any Tool.Type] { get }
}

extension ToolWithCommands {
  /// Runs the program.
  public static func main() {
    let word = CommandLine.arguments.dropFirst().first
    if commands.contains(where: { $0.tool.command == word }) {
      runProgram(CommandsBeside<Self>.self)
    } else {
      runProgram(Self.self)
    }
  }
}

/// The commands beside a tool.
private struct CommandsBeside<Main: ToolWithCommands>: ToolGroup {
  static var tool: ToolDescription {
    ToolDescription(name: Main.tool.name, abstract: Main.tool.abstract)
  }
  static var configuration: CommandConfiguration {
    tool.configuration(subcommands: Main.commands)
  }
}
