import ArgumentParser
import Base
import Filters
import ModelInterface

/// `tts-model average`: the mean of models.
struct Average: Tool {
  static let tool = ToolDescription(
    name: "tts-model average",
    abstract: "Write the mean of models, or of checkpoints, as one directory.",
    examples: [
      "tts-model average runs/a runs/b runs/c -o MODEL",
      "tts-model average english runs/mine:3 -o MODEL",
      "tts-model average runs/mine/checkpoints/*.safetensors -o MODEL",
    ],
    discussion: """
      Models that were fine-tuned from the same one often speak better together than each alone; the \
      mean with the one that they began from forgets less of it. All must have the architecture, the \
      tokenizer and the codec of the first, whose configuration is written. A checkpoint counts with \
      the running average of its weights. The metadata of the file of weights name the digests of \
      what went in, and tts-model info shows them.
      """)

  @Argument(
    help: ArgumentHelp(
      """
      A model directory, a checkpoint (RUN/checkpoints/*.safetensors), a YAML file, or an official \
      name; after a colon what it counts, 1 without it.
      """, valueName: "model[:x]"))
  var models: [ScaledPath]
  @Option(
    name: [.customShort("o"), .long],
    help: ArgumentHelp("The directory to make.", valueName: "dir"))
  var output: String
  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard models.count > 1 else { throw ValidationError("Name at least two models.") }
    guard models.allSatisfy({ $0.scale > 0 }) else {
      throw ValidationError("What a model counts must be above 0.")
    }
  }

  func execute(_ run: ToolRun) throws {
    try requireNoModel(in: output)
    let opened = try models.map { try openSpeechModel($0.path) }
    let sum = models.reduce(0) { $0 + Double($1.scale) }
    let shares = models.map { Double($0.scale) / sum }
    try opened[0].averaged(with: Array(opened.dropFirst()), shares: shares).write(to: output)
  }
}
