import Base
import ModelInterface
import NeuralNetworks
import Tensors

/// The networks of an enhancer, and what they make of a stretch of sound.
struct EnhancerNetworks: Sendable {
  /// What a stretch of sound is made with, beside the weights.
  struct Draws {
    /// `[1, frames, latents]`
    var prior: Tensor
    /// `[1, frames + 10, 128]`
    var noise: Tensor
  }

  let mel: LogMel
  let normalizer: MelNormalizer
  let denoiser: Denoiser
  let autoencoder: Autoencoder
  let flow: Flow
  let vocoder: Vocoder
  let sizes: EnhancerSizes
  /// What latents are multiplied by for the flow.
  let scale: Float
  /// Whether the flow was trained; without it the autoencoder's own latents are decoded.
  let hasFlow: Bool
  /// Whether the flow begins with noise alone, always the same.
  let hasFixedPrior: Bool

  /// - Parameters:
  ///   - weights: of a whole enhancer; what is computed with less than float32 is the flow and the vocoder.
  init(
    _ weights: Weights, _ shapes: [String: [Int]], _ parameters: HyperParameters, denoiser: Denoiser
  ) throws {
    sizes = EnhancerSizes(shapes)
    mel = try LogMel(weights["mel_fn"], shapes, parameters)
    normalizer = try MelNormalizer(weights["normalizer"])
    self.denoiser = denoiser
    autoencoder = try Autoencoder(weights["lcfm"]["ae"].inFloat32, sizes)
    flow = Flow(
      network: try FlowNetwork(weights["lcfm"]["cfm"]["net"], sizes),
      embedding: TimeEmbedding(width: sizes.timeWidth),
      times: FlowTimes(divisor: parameters.whole("cfm_time_mapping_divisor")))
    vocoder = try Vocoder(weights["vocoder"], sizes)
    scale = Float(parameters.number("lcfm_z_scale"))
    hasFlow = parameters["lcfm_training_mode"] == .text("cfm")
    hasFixedPrior = parameters["force_gaussian_prior"] == .flag(true)
  }

  /// A normalised log-mel `[1, frames, bands]` of samples `[1, samples]`.
  func features(_ samples: Tensor) -> Tensor { normalizer(mel(samples)) }

  /// Generates a stretch of sound anew.
  ///
  /// - Parameters:
  ///   - samples: `[1, samples]`.
  ///   - draws: of as many frames as the samples have.
  ///   - onStep: called often; what it throws ends the work.
  /// - Returns: `[1, frames * 420]`, as if the peak of what was heard were 1.
  func enhance(
    _ samples: Tensor, _ options: EnhancementOptions, _ draws: Draws, onStep: () throws -> Void
  ) rethrows -> Tensor {
    let heard = samples.withPeakOfOne()
    let original = features(heard)
    try onStep()
    let latents =
      try hasFlow
      ? generate(heard, original, options, draws.prior, onStep: onStep)
      : autoencoder.encode(original)
    try onStep()
    return try vocoder(autoencoder.decode(latents), noise: draws.noise, onStep: onStep)
  }

  /// Latents of cleaner speech with the same content.
  private func generate(
    _ heard: Tensor, _ original: Tensor, _ options: EnhancementOptions, _ prior: Tensor,
    onStep: () throws -> Void
  ) rethrows -> Tensor {
    var condition = original
    if options.denoising > 0 {
      let denoised = features(denoiser(heard))
      // The U-Net's tensors are larger than all that follow.
      TensorMemory.release()
      condition = denoised * options.denoising + original * (1 - options.denoising)
    }
    let start =
      hasFixedPrior
      ? prior
      : prior * options.temperature
        + autoencoder.encode(original) * (scale * (1 - options.temperature))
    let end = try flow.solve(
      from: start, condition: condition, solver: options.solver, evaluations: options.evaluations,
      onStep: onStep)
    return end * (1 / scale)
  }
}

/// Mean and variance of all log-mels that were heard in training.
struct MelNormalizer: Sendable {
  private let mean: Float
  private let deviation: Float

  /// Reads `running_mean_unsafe` and `running_var_unsafe`, numbers; they are none where nothing was heard.
  init(_ weights: Weights) throws {
    let mean = try weights.tensor("running_mean_unsafe", []).scalar
    let variance = try weights.tensor("running_var_unsafe", []).scalar
    self.init(mean: mean, variance: variance)
  }

  init(mean: Float, variance: Float) {
    self.mean = mean.isNaN ? 0 : mean
    deviation = variance.isNaN ? 1 : (variance + 1e-9).squareRoot()
  }

  /// With mean 0 and variance 1, over all that was heard.
  func callAsFunction(_ mel: Tensor) -> Tensor { (mel + -mean) * (1 / deviation) }
}

extension LogMel {
  /// Reads window and filter bank as the package stores them.
  init(_ weights: Weights, _ shapes: [String: [Int]], _ parameters: HyperParameters) throws {
    let size = parameters.whole("n_fft")
    self.init(
      window: try weights["melspec"]["spectrogram"].tensor(
        "window", [parameters.whole("win_size")]),
      bank: try weights["melspec"]["mel_scale"].tensor(
        "fb", [size / 2 + 1, parameters.whole("num_mels")]),
      size: size, hop: parameters.whole("hop_size"),
      floor: try weights.tensor("stft_magnitude_min", [1]).scalar,
      preEmphasis: Float(parameters.number("preemphasis")))
  }
}
