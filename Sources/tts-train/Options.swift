public import ArgumentParser
import Filters
import ModelInterface
public import NeuralNetworks
public import SpeechTraining
public import Training
import TrainingTools

extension LatentStatistics: ExpressibleByArgument {}
extension LearningRate.Shape: ExpressibleByArgument {}
extension FlowPath: ExpressibleByArgument {}
extension PromptSource: ExpressibleByArgument {}

/// What is read and written.
struct FileOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      A YAML file in the official trainer's schema that says what the options say; those of the \
      command line count more. See tts-train recipe.
      """, valueName: "file"), completion: .file(extensions: ["yaml", "yml"]))
  var recipe: String?

  @Option(
    help: ArgumentHelp(
      "The model to start from: a directory, a YAML file, or an official name.", valueName: "path"))
  var model: String

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      """
      Shards to learn from; patterns may be quoted. With :WEIGHT behind them they get that share of \
      the samples.
      """, valueName: "glob[:x]"))
  var train: [String]

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("Held-out shards to watch the loss on.", valueName: "glob"))
  var valid: [String] = []

  func validate() throws {
    if valid.contains(where: { CorpusSource($0).weight != nil }) {
      throw ValidationError("--valid takes no weights.")
    }
  }
}

/// What trains: `auto`, or a part of the model.
struct TuneChoice: ExpressibleByArgument {
  /// nil: as it suits the data.
  var tuning: Tuning?

  init?(argument: String) {
    guard argument != "auto" else { return }
    tuning = Tuning(argument)
    if tuning == nil { return nil }
  }
}

/// Which parameters train.
struct TuneOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      What trains: full; body, which is all but the flow head; head; last:N, the last N layers and \
      what comes after them; text, the text's embedding; lora, low-rank updates of matrices; or \
      auto: full for a new model and with ten hours of speech or more, else body. Default: auto.
      """, valueName: "part"))
  var tune: TuneChoice?

  @Option(
    help: ArgumentHelp(
      "Do not train the parameters that this pattern names; may be given several times.",
      valueName: "pattern"))
  var freeze: [String] = []

  @Option(
    help: ArgumentHelp(
      "Train the parameters that this pattern names after all; may be given several times.",
      valueName: "pattern"))
  var unfreeze: [String] = []

  @Option(help: ArgumentHelp("Rank of the updates of --tune lora.", valueName: "n"))
  var loraRank = TrainingOptions().lowRank.rank

  @Option(
    help: ArgumentHelp(
      "They are multiplied by this, divided by the rank.", valueName: "x"))
  var loraAlpha = TrainingOptions().lowRank.alpha

  @Option(
    help: ArgumentHelp(
      """
      Matrices that get one, as patterns; may be given several times. Default: those of the backbone.
      """, valueName: "pattern"))
  var loraTarget: [String] = []

  @Option(
    help: ArgumentHelp(
      """
      Compute what comes before all that trains once, and keep it in this folder: for --tune head and \
      last:N, which then cost little more than what trains.
      """, valueName: "dir"), completion: .directory)
  var cache: String?

  @Option(
    help: ArgumentHelp(
      "Variants of each utterance that --cache keeps, each with a voice prompt of its own.",
      valueName: "n"))
  var cacheVariants = TrainingOptions().cacheVariants

  @Flag(help: "Print the parameters, their shapes and whether they train, and end.")
  var list = false

  @Flag(
    help: """
      Make some steps, print what trains, the memory and the time that the run will take, and end; \
      nothing is written but the folder of --cache.
      """)
  var dryRun = false

  func validate() throws {
    try check("cache-variants", cacheVariants, atLeast: 1)
    guard cacheVariants <= 65536 else {
      throw ValidationError("--cache-variants must be at most 65536.")
    }
    try check("lora-rank", loraRank, atLeast: 1)
    guard loraRank <= 4096 else { throw ValidationError("--lora-rank must be at most 4096.") }
    try check("lora-alpha", Double(loraAlpha), 0...1e6)
  }

  var lowRank: LowRankOptions {
    var options = LowRankOptions()
    options.rank = loraRank
    options.alpha = loraAlpha
    options.targets = loraTarget
    return options
  }

  /// - Parameter suitable: what trains when nothing is chosen.
  func selection(suitable: Tuning) -> ParameterSelection {
    ParameterSelection(tune?.tuning ?? suitable, freeze: freeze, unfreeze: unfreeze)
  }
}

/// What products are made in.
enum TrainingPrecision: String, ExpressibleByArgument, CaseIterable {
  case f32, bf16
}

/// The run options of `tts-train`.
struct SpeechRunDefaults: RunDefaults {
  static let options = TrainingOptions().run
}

/// What a step is made of.
struct BatchOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Utterances in a micro-batch.", valueName: "n"))
  var batch = TrainingOptions().batch

  @Option(
    help: ArgumentHelp(
      """
      How factors of matrix products are held: f32 or bf16, which is faster where the machine has \
      the instructions. All else is float32.
      """, valueName: "name"))
  var precision = TrainingPrecision.f32

  @Option(
    help: ArgumentHelp(
      """
      Keep to about so much memory, as in 4G, by computing layers of the backbone again in the reverse \
      pass; the result is the same.
      """, valueName: "bytes"))
  var memory: ByteCount?

  func validate() throws {
    try check("batch", batch, atLeast: 1)
    guard batch <= 65536 else { throw ValidationError("--batch must be at most 65536.") }
  }

  func set(_ options: inout TrainingOptions) {
    options.batch = batch
    options.usesBFloat16 = precision == .bf16
    options.memory = memory?.bytes
  }
}
