import Base
import Foundation
import TestSupport
import Testing

/// A tool of the package, as the contract suite finds it.
struct ToolUnderTest: Sendable, CustomTestStringConvertible {
  let name: String
  /// All commands: the tool itself, and its subcommands.
  let commands: [CommandDump]

  var testDescription: String { name }

  /// Whether it is a filter over record streams: then it does what the contract says of them.
  var isFilter: Bool { filterCommand != nil }

  /// The command that is the filter: the tool, or its default subcommand.
  private var filterCommand: CommandDump? {
    commands.first { $0.longOptions.isSuperset(of: ["on-error", "output"]) && $0.readsRecords }
  }

  /// What has to be said besides files to make it work: models come from a small fixture, and speech
  /// is to be short and written as records.
  var neededArguments: [String]? {
    guard let options = filterCommand?.longOptions else { return [] }
    var arguments: [String] = []
    if options.contains("nfe") {
      guard let model = EnhancementModels.denoiser else { return nil }
      arguments += ["--model", model, "--mode", "denoise"]
    } else if options.contains("model") {
      guard hasFixture("PocketTTS/lsd/config.yaml") else { return nil }
      arguments += ["--model", fixture("PocketTTS/lsd")]
    }
    if options.contains("format") { arguments += ["--format", "ttsr"] }
    if options.contains("max-frames") { arguments += ["--max-frames", "4"] }
    return arguments
  }

  /// The tools whose folders are in `Sources` and that were built.
  static let all: [ToolUnderTest] = {
    let folders = try? FileManager.default.contentsOfDirectory(atPath: packageFolder + "/Sources")
    return (folders ?? []).filter { $0.hasPrefix("tts-") && isBuilt($0) }.sorted().map {
      ToolUnderTest(name: $0, commands: CommandDump.of($0))
    }
  }()

  /// Those that are filters.
  static let filters = all.filter { $0.isFilter && $0.neededArguments != nil }
}

/// What swift-argument-parser says of a command.
struct CommandDump: Sendable {
  /// The words after the tool's name.
  let words: [String]
  let longOptions: Set<String>
  /// Whether its operands are record files.
  let readsRecords: Bool

  static func of(_ tool: String) -> [CommandDump] {
    guard let command = dump(tool, []) else { return [] }
    // A tool that works without a command names those that it has all the same in its help.
    let help = (try? runTool(tool, ["--help"]).text) ?? ""
    let more = help.matches(of: /see\s+([a-z-]+)\s+([a-z-]+)\s+--help/).filter { $0.1 == tool }
      .compactMap { match -> CommandDump? in
        let word = String(match.2)
        let below = dump(tool, [word])?["subcommands"]?.array?.first {
          $0["commandName"]?.string == word
        }
        return below.flatMap { commands($0, words: [word]).first }
      }
    return commands(command, words: []) + more
  }

  private static func dump(_ tool: String, _ words: [String]) -> JSON? {
    let result = try? runTool(tool, words + ["--experimental-dump-help"])
    return result.flatMap { try? JSON.parse($0.output) }?["command"]
  }

  private static func commands(_ json: JSON, words: [String]) -> [CommandDump] {
    var names = Set<String>()
    var readsRecords = false
    for argument in json["arguments"]?.array ?? [] where argument["shouldDisplay"]?.bool == true {
      for name in argument["names"]?.array ?? [] where name["kind"]?.string == "long" {
        if let text = name["name"]?.string { names.insert(text) }
      }
      let suffixes = argument["completionKind"]?["file"]?["extensions"]?.stringElements ?? []
      if argument["kind"]?.string == "positional", suffixes.contains("ttsr") { readsRecords = true }
    }
    let own = CommandDump(words: words, longOptions: names, readsRecords: readsRecords)
    let below = (json["subcommands"]?.array ?? []).flatMap { sub -> [CommandDump] in
      guard let name = sub["commandName"]?.string, name != "help" else { return [] }
      return commands(sub, words: words + [name])
    }
    return [own] + below
  }
}
