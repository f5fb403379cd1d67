import ArgumentParser
import Base
import ModelInterface
import NeuralNetworks
import SpeechTraining
import Tensors
import Training

@testable import PocketTTS

/// One optimiser step of the whole language model: voice prompts of 60 frames, 40 tokens, 125 frames.
struct TrainBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train", abstract: "Seconds of a training step.")

  @OptionGroup var options: BenchOptions
  @Option(help: "A Pocket TTS model directory.") var model: String
  @Option(help: "Rows of a batch.") var batch = 8
  @Option(help: "Products in f32 or bf16.") var precision = "f32"
  @Option(help: "What trains: full, body, head, last:N or text.") var tune = "full"

  @Option(help: "Noises and times drawn for each frame.") var multiplier = 1
  @Flag(help: "What comes before all that trains is computed before the clock starts.")
  var cached = false

  func run() throws {
    ThreadBudget.limit = options.threads
    TensorMemory.kept = .max
    let trainable = try PocketTTSModel(path: model).trainable(TrainingTask())
    var random = RandomNumbers(seed: 0, name: "bench")
    func latents(_ frames: Int) -> Tensor {
      Tensor(random.normal(frames * trainable.latentWidth), shape: [frames, trainable.latentWidth])
    }
    var examples = (0..<batch).map { _ in
      TrainingExample(
        latents: latents(125), voice: latents(60),
        tokens: (0..<40).map { _ in Int32(random.uniform() * 300) })
    }
    var loss = LossOptions()
    loss.multiplier = multiplier
    loss.textDropout = 0
    loss.voiceDropout = 0
    loss.lsd.distillationProbability = 1
    let names = try ParameterSelection(Tuning(tune) ?? .full).names(of: trainable)
    if cached, let part = trainable.frozenPart(training: names) {
      for index in examples.indices {
        examples[index].features = try trainable.features(
          of: examples[index], part: part, buffers: trainable.buffers)
      }
    }
    let constants = trainable.parameters.filter { !names.contains($0.key) }
    var parameters = ParameterSet(trainable.parameters.filter { names.contains($0.key) })
      .loaded()
    var optimizer = Optimizer(
      Optimizer.Settings(), for: parameters, decays: trainable.decays,
      orthogonalBlocks: { _ in nil }, highestRate: 1e-4)
    func gradients() throws -> GradientSum {
      let tape = Tape()
      let variables = parameters.values.map { tape.watch($0) }
      let report = try trainable.loss(
        of: examples,
        parameters: constants.merging(zip(parameters.names, variables)) { $1 },
        buffers: trainable.buffers, options: loss, isEvaluation: false, random: &random)
      var sum = GradientSum(count: parameters.names.count)
      sum.add(tape.gradients(of: report.loss, for: variables))
      return sum
    }
    let times = try (0...options.runs).map { _ in
      try seconds {
        let sum = try ProductPrecision.inBFloat16(precision == "bf16") { try gradients() }
        let norm = try sum.norm(names: parameters.names, step: 1)
        optimizer.step(
          &parameters, gradients: sum.values, scale: clipScale(norm: norm, limit: 1), rate: 1e-4)
      }
    }
    report([
      "threads": Double(options.threads), "batch": Double(batch),
      "step_s": median(Array(times.dropFirst())), "rss_mb": peakMemory(),
    ])
  }
}
