public import ArgumentParser
import ModelInterface
public import Training

extension LatentStatistics: ExpressibleByArgument {}
extension LearningRate.Shape: ExpressibleByArgument {}

/// Refuses a value that is not finite or outside a range.
private func check(_ name: String, _ value: Double, _ range: ClosedRange<Double>) throws {
  guard range.contains(value) else {
    let upper = range.upperBound.isFinite ? " and at most \(range.upperBound)" : ""
    throw ValidationError("--\(name) must be at least \(range.lowerBound)\(upper).")
  }
}

private func check(_ name: String, _ value: Int, atLeast lowest: Int) throws {
  guard value >= lowest, value <= 1 << 31 else {
    throw ValidationError("--\(name) must be at least \(lowest) and at most \(1 << 31).")
  }
}

/// What is read and written.
struct FileOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The model to start from: a directory, a YAML file, or an official name.", valueName: "path"))
  var model: String

  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("Shards to learn from; patterns may be quoted.", valueName: "glob"))
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

  @Flag(help: "Print the parameters, their shapes and whether they train, and end.")
  var list = false

  @Flag(
    help: """
      Make some steps, print what trains, the memory and the time that the run will take, and end; \
      nothing is written.
      """)
  var dryRun = false

  func validate() throws {
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

  func validate() throws {
    try check("steps", steps, atLeast: 1)
    try check("batch", batch, atLeast: 1)
    try check("accumulate", accumulate, atLeast: 1)
    try check("valid-every", validEvery, atLeast: 1)
    try check("valid-batches", validBatches, atLeast: 1)
    try check("checkpoint-every", checkpointEvery, atLeast: 1)
    try check("patience", patience, atLeast: 0)
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
    options.validEvery = validEvery
    options.validBatches = validBatches
    options.checkpointEvery = checkpointEvery
    options.keepsBest = keepBest
    options.patience = patience
  }
}

/// How the weights move.
struct OptimizerOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The highest learning rate; 2e-5 suits fine-tuning in the model's language.", valueName: "x"))
  var lr = TrainingOptions().rate.highest

  @Option(help: ArgumentHelp("Steps until the highest rate is reached.", valueName: "n"))
  var warmup = TrainingOptions().rate.warmup

  @Option(
    help: ArgumentHelp(
      "The learning rate after the warm-up: constant, cosine or linear.", valueName: "shape"))
  var schedule = TrainingOptions().rate.shape

  @Option(
    help: ArgumentHelp(
      "Share of the highest rate that the cosine or the line ends at.", valueName: "x"))
  var lrMinRatio = TrainingOptions().rate.lowestShare

  @Option(help: ArgumentHelp("Weight decay; the text table has none.", valueName: "x"))
  var weightDecay = TrainingOptions().optimizer.weightDecay

  @Option(help: ArgumentHelp("Norm that gradients are clipped to; 0: none.", valueName: "x"))
  var clip = TrainingOptions().clip

  @Option(
    help: ArgumentHelp(
      "How much of the running average of the weights a step keeps; 0: no average.", valueName: "x")
  )
  var emaDecay = TrainingOptions().averageDecay

  func validate() throws {
    try check("lr", lr, 0...1000)
    try check("warmup", warmup, atLeast: 0)
    try check("lr-min-ratio", lrMinRatio, 0...1)
    try check("weight-decay", weightDecay, 0...1000)
    try check("clip", clip, 0...(.greatestFiniteMagnitude))
    try check("ema-decay", emaDecay, 0...1)
    guard emaDecay < 1 else { throw ValidationError("--ema-decay must be below 1.") }
  }

  func set(_ options: inout TrainingOptions) {
    options.rate = LearningRate(
      highest: lr, warmup: warmup, shape: schedule, lowestShare: lrMinRatio)
    options.optimizer.weightDecay = weightDecay
    options.clip = clip
    options.averageDecay = emaDecay
  }
}

/// What the loss is made of, and from which data.
struct LossAndDataOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Probability of leaving out an utterance's text.", valueName: "p"))
  var textDropout = TrainingOptions().loss.textDropout

  @Option(help: ArgumentHelp("Probability of leaving out its voice prompt.", valueName: "p"))
  var voiceDropout = TrainingOptions().loss.voiceDropout

  @Option(
    help: ArgumentHelp(
      "Probability of computing the distillation term in a micro-batch.", valueName: "p"))
  var distillProb = TrainingOptions().loss.distillationProbability

  @Option(
    help: ArgumentHelp(
      "Noises and times drawn for each frame; 4 in official recipes.", valueName: "n"))
  var multiplier = TrainingOptions().loss.multiplier

  @Option(help: ArgumentHelp("Weight of the end-of-speech loss.", valueName: "x"))
  var eosWeight = TrainingOptions().loss.endOfSpeechWeight

  @Flag(help: "Hold the whole distillation target constant, not only its parameters.")
  var classicStopGradient = false

  @Option(
    help: ArgumentHelp(
      """
      Latent statistics: model keeps the model's, data takes those of all training latents, ema \
      moves towards the batches of the first 1000 steps.
      """, valueName: "kind"))
  var statistics = TrainingOptions().statistics

  @Option(
    help: ArgumentHelp(
      "Leave out longer utterances, or cut them where the times of words are known.",
      valueName: "s"))
  var maxSeconds = TrainingOptions().maxSeconds

  @Option(
    help: ArgumentHelp(
      "The longest voice prompt, taken from another utterance of the speaker; 0: none.",
      valueName: "s"))
  var promptSeconds = TrainingOptions().promptSeconds

  @Option(
    help: ArgumentHelp(
      "Sort so many batches by length before they are cut; 1: not at all.", valueName: "n"))
  var bucketBatches = TrainingOptions().bucketBatches

  func validate() throws {
    try check("text-dropout", Double(textDropout), 0...1)
    try check("voice-dropout", Double(voiceDropout), 0...1)
    try check("distill-prob", Double(distillProb), 0...1)
    guard distillProb > 0 else { throw ValidationError("--distill-prob must be above 0.") }
    try check("multiplier", multiplier, atLeast: 1)
    guard multiplier <= 1024 else { throw ValidationError("--multiplier must be at most 1024.") }
    try check("eos-weight", Double(eosWeight), 0...1000)
    try check("max-seconds", maxSeconds, 0.1...3600)
    try check("prompt-seconds", promptSeconds, 0...3600)
    try check("bucket-batches", bucketBatches, atLeast: 1)
    guard bucketBatches <= 4096 else {
      throw ValidationError("--bucket-batches must be at most 4096.")
    }
  }

  func set(_ options: inout TrainingOptions) {
    options.loss.textDropout = textDropout
    options.loss.voiceDropout = voiceDropout
    options.loss.distillationProbability = distillProb
    options.loss.multiplier = multiplier
    options.loss.endOfSpeechWeight = eosWeight
    options.loss.stopsTargetGradient = classicStopGradient
    options.statistics = statistics
    options.maxSeconds = maxSeconds
    options.promptSeconds = promptSeconds
    options.bucketBatches = bucketBatches
  }
}
