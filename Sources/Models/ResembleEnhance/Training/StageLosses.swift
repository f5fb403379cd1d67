import Base
import NeuralNetworks
import Tensors

/// What a batch comes to in one of the three trainings.
struct StageLosses {
  /// The terms of what the networks are to make small, by the names of the package's log; their sum is the
  /// loss.
  var terms: [(name: String, loss: Tensor)]
  /// The same of the discriminators, where they learn.
  var discriminatorTerms: [(name: String, loss: Tensor)] = []
  /// Statistics after the batch.
  var statistics: [String: RunningStatistics] = [:]
}

/// The first training: a denoiser alone.
struct DenoiserStage: Sendable {
  let sizes: DenoiserSizes
  let hop: Int

  /// - Parameters:
  ///   - weights: of the denoiser, on a tape.
  ///   - mix: speech with background, `[batch, samples]`.
  ///   - target: the speech, `[batch, samples]`.
  func losses(_ weights: Weights, mix: Tensor, target: Tensor) throws -> StageLosses {
    let denoised = try Denoiser(weights, sizes, hop: hop)(mix)
    return StageLosses(terms: [("denoiser/l1", denoised.distance(to: target.withPeakOfOne()))])
  }
}

/// The second: the autoencoder and the vocoder, against discriminators after a while.
struct AutoencoderStage: Sendable {
  let sizes: EnhancerSizes
  let mel: LogMel
  let discriminatorSizes: Discriminators.Sizes

  /// The statistics that it keeps, by the beginning of their names.
  static let normalizer = "normalizer."
  static let estimator = "lcfm.ae.estimator."

  /// - Parameters:
  ///   - weights: of the enhancer, on a tape.
  ///   - discriminators: their weights as variables; nil while they do not learn.
  ///   - constants: the same weights as constants.
  ///   - foreground: speech, `[batch, samples]`.
  ///   - noise: `[batch, frames + 10, 128]`.
  ///   - statistics: before the batch.
  func losses(
    _ weights: Weights, discriminators: (variables: Weights, constants: Weights)?,
    foreground: Tensor, noise: Tensor, statistics: [String: RunningStatistics]
  ) throws -> StageLosses {
    var statistics = statistics
    let unset = RunningStatistics(mean: .nan, variance: .nan)
    var normalizer = statistics[Self.normalizer] ?? unset
    var estimator = statistics[Self.estimator] ?? unset
    let heard = foreground.withPeakOfOne()
    let levels = mel(heard)
    let before = MelNormalizer(mean: normalizer.mean, variance: normalizer.variance)(levels)
    normalizer.move(towards: levels)
    let target = MelNormalizer(mean: normalizer.mean, variance: normalizer.variance)(levels)

    let ae = weights["lcfm"]["ae"]
    let autoencoder = try Autoencoder(ae, sizes)
    // Only the statistics of the latents see these.
    estimator.move(
      towards: try Autoencoder(ae.detached, sizes).encode(before))
    let latents = autoencoder.encode(target)
    estimator.move(towards: latents)
    let decoded = autoencoder.decode(latents)
    let error = try MelHead(ae["head"], sizes)(decoded) - target
    let fake = try Vocoder(weights["vocoder"], sizes)(decoded, noise: noise, onStep: {})
    let apart = SpectralLoss()(fake, heard)
    var losses = StageLosses(terms: [
      ("lcfm/ae/mse", error.squared().mean()), ("vocoder/sc", apart.convergence),
      ("vocoder/mag", apart.magnitude),
    ])
    if let discriminators {
      let judge = try Discriminators(discriminators.constants, discriminatorSizes)
      let (mpd, mrd) = judge.generatorLosses(fake)
      losses.terms += [("mpd", mpd), ("mrd", mrd)]
      losses.discriminatorTerms = try Discriminators(discriminators.variables, discriminatorSizes)
        .losses(fake: fake, real: foreground)
    }
    statistics[Self.normalizer] = normalizer
    statistics[Self.estimator] = estimator
    losses.statistics = statistics
    return losses
  }
}

/// The third: the flow from noise to latents, and the denoiser once more.
struct FlowStage: Sendable {
  let sizes: EnhancerSizes
  let denoiserSizes: DenoiserSizes
  let mel: LogMel
  let normalizer: MelNormalizer
  /// As it was learned in the second training.
  let autoencoder: Autoencoder
  let times: FlowTimes
  /// What latents are multiplied by.
  let scale: Float
  /// Whether the flow begins with noise alone.
  let hasFixedPrior: Bool

  /// What is drawn for a batch.
  struct Draws {
    /// How much of the condition is denoised, for each row.
    var denoising: [Float]
    /// How much of the start is noise.
    var temperature: [Float]
    /// Where on the way between, 0 to 1, before the times of the solvers.
    var place: [Float]
    /// `[batch, frames, latents]`
    var prior: Tensor
    /// The same.
    var jitter: Tensor
  }

  /// - Parameters:
  ///   - weights: of the enhancer, on a tape.
  ///   - mix: distorted speech with background, `[batch, samples]`.
  ///   - clean: the speech.
  ///   - distorted: the distorted speech.
  func losses(
    _ weights: Weights, mix: Tensor, clean: Tensor, distorted: Tensor, _ draws: Draws
  ) throws -> StageLosses {
    let heard = mix.withPeakOfOne()
    let original = normalizer(mel(heard))
    let denoised = try Denoiser(weights["denoiser"], denoiserSizes, hop: mel.hop)(heard)
    let condition = normalizer(mel(denoised)).blended(with: original, share: draws.denoising)
    let start =
      hasFixedPrior
      ? draws.prior
      : draws.prior.blended(
        with: autoencoder.encode(original) * scale, share: draws.temperature)
    let end = autoencoder.encode(normalizer(mel(clean.withPeakOfOne()))) * scale
    let now = draws.place.map { Float(times.at(Double($0))) }
    let psi = end.blended(with: start, share: now) + draws.jitter * 1e-4
    let network = try FlowNetwork(weights["lcfm"]["cfm"]["net"], sizes)
    let velocity = network(
      psi, time: TimeEmbedding(width: sizes.timeWidth)(now),
      conditions: network.conditions(condition))
    return StageLosses(terms: [
      ("lcfm/cfm/l1", velocity.distance(to: end - start)),
      (
        "denoiser/l1",
        denoised.distance(to: distorted.withPeakOfOne().withPeakOfOne())
      ),
    ])
  }
}

extension Tensor {
  /// The mean of the absolute differences.
  fileprivate func distance(to target: Tensor) -> Tensor { (self - target).absolute().mean() }

  /// Of each element of a batch a share of this and the rest of another. Data: no gradient flows.
  fileprivate func blended(with other: Tensor, share: [Float]) -> Tensor {
    let size = count / share.count
    var result = detached()
    other.withValues { other in
      result.mutate { values in
        for index in values.indices {
          let part = share[index / size]
          values[index] = part * values[index] + (1 - part) * other[index]
        }
      }
    }
    return result
  }
}

extension Weights {
  /// The same weights as constants.
  var detached: Weights { changing { _, tensor in tensor.detached() } }
}
