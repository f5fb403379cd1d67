public import ArgumentParser
import Base
import Filters
import ModelInterface
import ModelRegistry
public import Tensors

/// `tts-model pack`: weights as they are computed with.
struct Pack: Tool {
  static let tool = ToolDescription(
    name: "tts-model pack",
    abstract: "Write a model's weights as they are computed with, for an instant start.",
    examples: [
      "tts-model pack MODEL",
      "tts-model pack --precision int8 --precision bf16 english",
    ],
    discussion: """
      Writes NAME.PART-PRECISION.packed beside the weights, for each part of the model, and prints the \
      paths. Tools map these files instead of packing the weights in memory, \
      and processes share them. Whoever loads a model from a folder that it may write to makes them \
      too; this serves folders that others may only read. They are made anew when the weights have \
      changed, and may be deleted at any time.
      """)

  @Argument(
    help: ArgumentHelp("A model directory, a YAML file, or an official name.", valueName: "model"))
  var models: [String]
  @Option(
    help: ArgumentHelp(
      "For this --precision: f32, bf16 or int8; may be given several times. Default: f32.",
      valueName: "name"))
  var precision: [WeightFormat] = []
  @OptionGroup var common: CommonOptions

  func execute(_ run: ToolRun) throws {
    let output = try ByteOutput(path: nil)
    for name in models {
      let model = try ModelRegistry.model(name)
      for precision in precision.isEmpty ? [.float32] : precision {
        for path in try model.pack(precision: precision) { try output.write(path + "\n") }
        try output.flush()
      }
    }
    try output.finish()
  }
}

extension WeightFormat: ExpressibleByArgument {}
