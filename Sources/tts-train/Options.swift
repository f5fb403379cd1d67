public import ArgumentParser
import Filters
import ModelInterface
public import NeuralNetworks
public import Training

extension LatentStatistics: ExpressibleByArgument {}
extension LearningRate.Shape: ExpressibleByArgument {}
extension FlowPath: ExpressibleByArgument {}
extension PromptSource: ExpressibleByArgument {}

/// Refuses a value that is not finite or outside a range.
func check(_ name: String, _ value: Double, _ range: ClosedRange<Double>) throws {
  guard range.contains(value) else {
    let upper = range.upperBound.isFinite ? " and at most \(range.upperBound)" : ""
    throw ValidationError("--\(name) must be at least \(range.lowerBound)\(upper).")
  }
}

/// Refuses a number that is too small or beyond all reason.
func check(_ name: String, _ value: Int, atLeast lowest: Int) throws {
  guard value >= lowest, value <= 1 << 31 else {
    throw ValidationError("--\(name) must be at least \(lowest) and at most \(1 << 31).")
  }
}

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

  @Option(
    help: ArgumentHelp("The run directory to write.", valueName: "dir"), completion: .directory)
  var run: String

  @Flag(
    help: """
      Continue the run from its last whole checkpoint; only --steps and samples may differ. Where there is no \
      run yet, begin it.
      """)
  var resume = false

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

/// How long a run goes on and what it leaves behind.
struct StepOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Optimiser steps in all.", valueName: "n"))
  var steps = TrainingOptions().steps

  @Option(help: ArgumentHelp("Utterances in a micro-batch.", valueName: "n"))
  var batch = TrainingOptions().batch

  @Option(help: ArgumentHelp("Micro-batches that make one step.", valueName: "n"))
  var accumulate = TrainingOptions().accumulate

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

  @Option(help: ArgumentHelp("Seed of order, noise and dropout.", valueName: "n"))
  var seed = TrainingOptions().seed

  @Option(
    help: ArgumentHelp(
      "Steps between validations; there is one before the first step and one at the end.",
      valueName: "n"))
  var validEvery = TrainingOptions().validEvery

  @Option(help: ArgumentHelp("Micro-batches of a validation at most.", valueName: "n"))
  var validBatches = TrainingOptions().validBatches

  @Flag(
    help: "Keep the model with the lowest held-out loss so far in best/, a model directory too.")
  var keepBest = false

  @Option(
    help: ArgumentHelp(
      "End the run after so many validations without a lower loss; 0: go on to the last step.",
      valueName: "n"))
  var patience = TrainingOptions().patience

  @Option(help: ArgumentHelp("Steps between checkpoints.", valueName: "n"))
  var checkpointEvery = TrainingOptions().checkpointEvery

  @Option(help: ArgumentHelp("Checkpoints kept.", valueName: "n"))
  var keep = TrainingOptions().keptCheckpoints

  func validate() throws {
    try check("steps", steps, atLeast: 1)
    try check("batch", batch, atLeast: 1)
    try check("accumulate", accumulate, atLeast: 1)
    try check("valid-every", validEvery, atLeast: 1)
    try check("valid-batches", validBatches, atLeast: 1)
    try check("checkpoint-every", checkpointEvery, atLeast: 1)
    try check("patience", patience, atLeast: 0)
    try check("keep", keep, atLeast: 1)
    guard batch <= 65536, accumulate <= 65536 else {
      throw ValidationError("--batch and --accumulate must be at most 65536.")
    }
  }

  func set(_ options: inout TrainingOptions) {
    options.steps = steps
    options.batch = batch
    options.accumulate = accumulate
    options.usesBFloat16 = precision == .bf16
    options.seed = seed
    options.memory = memory?.bytes
    options.validEvery = validEvery
    options.validBatches = validBatches
    options.checkpointEvery = checkpointEvery
    options.keptCheckpoints = keep
    options.keepsBest = keepBest
    options.patience = patience
  }
}
