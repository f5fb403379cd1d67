public import ArgumentParser
import Base
import Filters
public import ModelInterface
import ModelRegistry

/// `tts-model merge`: adapters into the weights.
struct Merge: Tool {
  static let tool = ToolDescription(
    name: "tts-model merge",
    abstract: "Write a model with adapters in its weights, as one directory.",
    examples: ["tts-model merge --adapter run/adapter.safetensors:0.8 english -o MODEL"],
    discussion: """
      The result speaks as tts-synth --adapter does with the same adapters, and is a model like any \
      other: it loads in the official package.
      """)

  @Argument(
    help: ArgumentHelp("A model directory, a YAML file, or an official name.", valueName: "model"))
  var model: String
  @Option(
    help: ArgumentHelp(
      """
      An adapter of tts-train --tune lora, multiplied by the number after the colon; may be given \
      several times.
      """, valueName: "file[:x]"), completion: .file())
  var adapter: [ScaledPath]
  @Option(
    name: [.customShort("o"), .long],
    help: ArgumentHelp("The directory to make.", valueName: "dir"))
  var output: String
  @OptionGroup var common: CommonOptions

  func execute(_ run: ToolRun) throws {
    try requireNoModel(in: output)
    try ModelRegistry.speechModel(model).adapted(adapter).write(to: output)
  }
}

extension ScaledPath: ExpressibleByArgument {
  /// Reads `FILE` or `FILE:SCALE`.
  public init?(argument: String) { self.init(argument) }
}
