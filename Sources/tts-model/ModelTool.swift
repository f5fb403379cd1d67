import ArgumentParser
import Base
import Filters
import ModelInterface
import ModelRegistry

/// `tts-model`: model directories.
@main
struct ModelTool: ToolGroup {
  static let tool = ToolDescription(
    name: "tts-model", abstract: "Fetch, make, inspect, convert, average, pack and merge models.",
    examples: [
      "tts-model fetch english",
      "tts-model info MODEL",
      "tts-model init --config english --tokenizer tokenizer.json --seed 1 -o MODEL",
      "tts-model convert old.yaml -o MODEL",
      "tts-model export runs/mine -o MODEL",
      "tts-model pack --precision int8 MODEL",
    ])
  static var configuration: CommandConfiguration {
    tool.configuration(subcommands: [
      Info.self, Initialize.self, Convert.self, Fetch.self, Pack.self, Merge.self, Average.self,
    ])
  }
}

struct Info: Tool {
  static let tool = ToolDescription(
    name: "tts-model info", abstract: "Print the facts of a model.",
    examples: ["tts-model info MODEL", "tts-model info --json MODEL"])

  @Argument(
    help: ArgumentHelp("A model directory, a YAML file, or an official name.", valueName: "model"))
  var model: String
  @Flag(help: "Print one JSON object instead of lines.")
  var json = false
  @OptionGroup var common: CommonOptions

  func execute(_ run: ToolRun) throws {
    let facts = try ModelRegistry.model(model).facts()
    let output = try ByteOutput(path: nil)
    if json {
      let object = Dictionary(uniqueKeysWithValues: facts.map { ($0.name, JSON.string($0.value)) })
      try output.write(JSON.object(object).canonicalBytes + [10])
    } else {
      let width = facts.map(\.name.count).max() ?? 0
      for fact in facts {
        let gap = String(repeating: " ", count: width - fact.name.count + 2)
        try output.write(fact.name + gap + fact.value + "\n")
      }
    }
    try output.finish()
  }
}

struct Initialize: Tool {
  static let tool = ToolDescription(
    name: "tts-model init", abstract: "Make a model directory with random weights.",
    examples: [
      "tts-model init --config english --tokenizer tokenizer.json --seed 1 -o MODEL",
      "tts-model init --config small.yaml --tokenizer tokenizer.model -o MODEL",
      "tts-model init --config resemble-enhance-denoiser --seed 1 -o DENOISER",
    ],
    discussion: """
      Known configurations: \
      \(ModelRegistry.descriptors.flatMap(\.configurationNames).joined(separator: ", ")).
      """)

  @Option(
    help: ArgumentHelp("A YAML file, or the name of a known configuration.", valueName: "config"))
  var config: String
  @Option(
    help: ArgumentHelp(
      "The tokenizer of a model that speaks; without it the one that the configuration names.",
      valueName: "file"))
  var tokenizer: String?
  @OptionGroup var seed: SeedOption
  @Option(
    name: [.customShort("o"), .long],
    help: ArgumentHelp("The directory to make.", valueName: "dir"))
  var output: String
  @OptionGroup var common: CommonOptions

  func execute(_ run: ToolRun) throws {
    let request = ModelInitialization(
      configuration: config, tokenizer: tokenizer, seed: seed.seed, directory: output)
    guard let descriptor = ModelRegistry.descriptors.first(where: { $0.initializes(config) }) else {
      throw Failure(
        .noInput, subject: config, problem: "neither a file nor the name of a configuration",
        remedy: "use one of "
          + ModelRegistry.descriptors.flatMap(\.configurationNames).joined(separator: ", "))
    }
    try requireNoModel(in: output)
    try descriptor.initialize(request)
  }
}

/// Refuses to write over a model.
func requireNoModel(in directory: String) throws {
  guard !fileExists(directory + "/model.safetensors") else {
    throw Failure(
      .cannotCreate, subject: directory, problem: "there is a model already",
      remedy: "choose another directory or remove it first")
  }
}
