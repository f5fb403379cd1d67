public import ModelInterface
import NeuralNetworks
import Tensors
public import Training

/// Where the latent statistics of a run come from.
public enum LatentStatistics: String, Sendable, CaseIterable {
  /// Mean and deviation of all training latents, before the first step, then fixed.
  case data
  /// Moved towards each micro-batch of the first steps, as the official trainer does.
  case ema
  /// Those of the model, unchanged.
  case model
}

/// What a run that teaches a model to speak is made with.
public struct TrainingOptions: Sendable {
  /// How long the run goes on, how it is watched and what it keeps.
  public var run = RunOptions()
  /// Utterances in a micro-batch.
  public var batch = 8
  /// The learning rate by step.
  public var rate = LearningRate(highest: 2e-4, warmup: 500)
  /// The optimiser's settings.
  public var optimizer = Optimizer.Settings()
  /// Whether the flow head's matrices are among those of Muon.
  public var muonIncludesHead = false
  /// The norm that gradients are clipped to; 0 for no clipping.
  public var clip = 1.0
  /// What the model is trained for, and what it is when it begins.
  public var task = TrainingTask()
  /// What the loss is made with.
  public var loss = LossOptions()
  /// Whether matrix products round their factors to bfloat16. Weights, sums, losses and the optimiser
  /// stay in float32.
  public var usesBFloat16 = false
  /// What trains.
  public var selection = ParameterSelection()
  /// The low-rank updates that train, with `Tuning.lora`.
  public var lowRank = LowRankOptions()
  /// Where the latent statistics come from.
  public var statistics = LatentStatistics.model
  /// Steps in which `LatentStatistics.ema` moves.
  public var statisticsSteps = 1000
  /// How much of the statistics a micro-batch keeps.
  public var statisticsDecay: Float = 0.999
  /// Longer utterances are left out, or cut where their words' times are known.
  public var maxSeconds = 30.0
  /// How utterances become examples.
  public var examples = ExampleOptions()
  /// Batches are cut from the samples of so many batches, sorted by length.
  public var bucketBatches = 5
  /// The folder where what the frozen part of the model makes of the data is kept; nil to compute it
  /// each time.
  public var cache: String?
  /// How many variants of each utterance are kept there, with voice prompts of their own.
  public var cacheVariants = 4
  /// Bytes that a process should keep to by computing layers again; nil for no limit.
  public var memory: Int?
  /// What is said aloud meanwhile; it may differ when a run is continued.
  public var samples = SampleRequest()

  /// The official defaults.
  public init() {}

  /// The options that change the result beside those of ``run``, by the names of the command line.
  var recorded: [String: String] {
    [dataOptions, examples.recorded, optimizerOptions, lossOptions, taskOptions]
      .reduce(into: [:]) { $0.merge($1) { $1 } }
  }

  private var dataOptions: [String: String] {
    let isLowRank = selection.tuning == .lora
    let isMoving = statistics == .ema
    return [
      "batch": "\(batch)", "bucket-batches": "\(bucketBatches)",
      "cache-variants": cache == nil ? "" : "\(cacheVariants)",
      "freeze": selection.freeze.joined(separator: " "),
      "lora-alpha": isLowRank ? "\(lowRank.alpha)" : "",
      "lora-rank": isLowRank ? "\(lowRank.rank)" : "",
      "lora-target": isLowRank ? lowRank.targets.joined(separator: " ") : "",
      "max-seconds": "\(maxSeconds)", "precision": usesBFloat16 ? "bf16" : "f32",
      "statistics": statistics.rawValue,
      "statistics-decay": isMoving ? "\(statisticsDecay)" : "",
      "statistics-steps": isMoving ? "\(statisticsSteps)" : "",
      "tune": "\(selection.tuning)", "unfreeze": selection.unfreeze.joined(separator: " "),
    ]
  }

  private var optimizerOptions: [String: String] {
    let muon = optimizer.muon
    return [
      "beta1": "\(optimizer.adamW.firstDecay)", "beta2": "\(optimizer.adamW.secondDecay)",
      "clip": "\(clip)",
      "epsilon": "\(optimizer.adamW.epsilon)", "lr": "\(rate.highest)",
      "lr-min-ratio": "\(rate.lowestShare)",
      "muon-head": muon == nil ? "" : "\(muonIncludesHead)",
      "muon-lr": muon.map { "\($0.rate)" } ?? "",
      "muon-momentum": muon.map { "\($0.momentum)" } ?? "",
      "muon-polar-steps": muon.map { "\($0.polarSteps)" } ?? "",
      "muon-rms-match": muon.map { "\($0.matchesAdamW)" } ?? "",
      "optimizer": muon == nil ? "adamw" : "muon", "schedule": rate.shape.rawValue,
      "warmup": "\(rate.warmup)", "weight-decay": "\(optimizer.adamW.weightDecay)",
    ]
  }

  private var lossOptions: [String: String] {
    [
      "classic-stop-gradient": "\(loss.lsd.stopsTargetGradient)",
      "distill-prob": "\(loss.lsd.distillationProbability)",
      "eos-weight": "\(loss.endOfSpeechWeight)",
      "flow":
        "\(loss.lsd.diagonalShare) \(loss.lsd.timeLocation) \(loss.lsd.timeScale) "
        + "\(loss.lsd.isWeighted) \(loss.remainingNoise) \(loss.drifting.temperatureWeight) "
        + "\(loss.drifting.draws) \(loss.drifting.normalization) \(loss.drifting.smallestScale) "
        + "\(loss.drifting.smallestTemperature) \(task.kernelTemperature)",
      "multiplier": "\(loss.multiplier)", "official-ends": "\(!loss.teachesEveryEnd)",
      "path": loss.path.rawValue, "text-dropout": "\(loss.textDropout)",
      "voice-dropout": "\(loss.voiceDropout)",
    ]
  }

  private var taskOptions: [String: String] {
    var options = [
      "distill": "", "objective": task.objective ?? "",
      "set": task.overrides.map { "\($0.key)=\($0.value)" }.joined(separator: " "),
    ]
    switch task.distillation {
    case .none: break
    case .backbone(let backbone):
      options["distill"] = "backbone"
      options["guidance"] = "\(backbone.guidance)"
    case .head(let head):
      options["distill"] = "head"
      options["head-draws"] = "\(head.samples)"
      options["head-loss"] = head.isDrifting ? "drifting" : "mse"
      options["head-temperature"] = "\(head.temperature)"
    }
    return options
  }
}

/// Whether a model's latent statistics are those that a new model begins with: mean 0, deviation 1.
public func hasFreshStatistics(_ trainable: any Trainable) -> Bool {
  let width = trainable.latentWidth
  let fresh = trainable.buffers(
    mean: [Float](repeating: 0, count: width), deviation: [Float](repeating: 1, count: width))
  return fresh.allSatisfy { trainable.buffers[$0.key]?.values == $0.value.values }
}
