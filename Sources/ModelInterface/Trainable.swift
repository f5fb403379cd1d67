public import Base
public import Tensors
public import Text

/// One utterance to learn from.
public struct TrainingExample: Sendable {
  /// Raw latents of the codec: `[frames, channels]`.
  public var latents: Tensor
  /// Raw latents of the voice prompt: `[frames, channels]`; nil for none.
  public var voice: Tensor?
  /// Text tokens.
  public var tokens: [Int32]

  /// One utterance to learn from.
  public init(latents: Tensor, voice: Tensor?, tokens: [Int32]) {
    self.latents = latents
    self.voice = voice
    self.tokens = tokens
  }
}

/// What varies between training and evaluation, and between recipes.
public struct LossOptions: Sendable, Hashable {
  /// Probability of leaving out a row's text.
  public var textDropout: Float = 0.2
  /// Probability of leaving out a row's voice.
  public var voiceDropout: Float = 0.2
  /// Probability of computing the distillation term in a micro-batch.
  public var distillationProbability: Float = 1
  /// Weight of the end-of-speech loss.
  public var endOfSpeechWeight: Float = 0.1
  /// How often each frame's conditioning is used, with noise of its own each time.
  public var multiplier = 1
  /// Whether the distillation target is wholly constant (`classic`) rather than constant in the
  /// parameters only (`minimal`).
  public var stopsTargetGradient = false

  /// The official defaults.
  public init() {}
}

/// The loss of a batch and what it is made of.
public struct LossReport: Sendable {
  /// One number, on the tape of the parameters.
  public var loss: Tensor
  /// The parts by their official names: `loss`, `flow_loss`, `flow_diag`, `flow_distill` (only when
  /// computed), `eos_loss`.
  public var metrics: [String: Double]

  /// The loss of a batch.
  public init(loss: Tensor, metrics: [String: Double]) {
    self.loss = loss
    self.metrics = metrics
  }
}

/// A model that can be trained. It holds no changing state: parameters and buffers are passed in.
public protocol Trainable: Sendable {
  /// The start values of what trains, by the names that checkpoints use.
  var parameters: [String: Tensor] { get }
  /// Tensors that are not trained but may change with the data (latent statistics).
  var buffers: [String: Tensor] { get }
  /// Whether weight decay applies to a parameter.
  func decays(_ name: String) -> Bool
  /// Layers of the backbone.
  var layers: Int { get }
  /// Whether a parameter belongs to what is trained.
  func trains(_ name: String, in tuning: Tuning) -> Bool

  /// The same with low-rank updates of matrices among its parameters.
  ///
  /// - Parameter seed: of their start values, which change nothing yet.
  /// - Throws: `usage` when the options name no matrices.
  func adapted(_ options: LowRankOptions, seed: UInt64) throws -> any Trainable

  /// Channels of the latents it learns to make.
  var latentWidth: Int { get }
  /// Channels of the voice prompt's latents.
  var voiceWidth: Int { get }
  /// Latent frames a second.
  var frameRate: Double { get }
  /// The tokenizer of its text.
  var tokenizer: any Tokenizer { get }
  /// The digest of the encoder that its latents come from.
  var codecDigest: SHA256Digest { get }

  /// The loss of a batch.
  ///
  /// - Parameters:
  ///   - parameters: values for all of ``parameters``, usually variables of a tape.
  ///   - buffers: values for all of ``buffers``.
  ///   - isEvaluation: no condition is dropped and all terms are computed, with their plain weights.
  ///   - random: where noise, times and dropout come from.
  func loss(
    of batch: [TrainingExample], parameters: [String: Tensor], buffers: [String: Tensor],
    options: LossOptions, isEvaluation: Bool, random: inout RandomNumbers
  ) throws -> LossReport

  /// The buffers after the latent statistics moved towards a batch:
  /// new = decay · old + (1 - decay) · batch (mean, and unbiased standard deviation, of all frames).
  func buffers(_ buffers: [String: Tensor], movedTowards batch: [TrainingExample], decay: Float)
    -> [String: Tensor]

  /// The buffers for given statistics of the training latents.
  ///
  /// - Parameters:
  ///   - mean: of each channel.
  ///   - deviation: of each channel.
  func buffers(mean: [Float], deviation: [Float]) -> [String: Tensor]

  /// Text to speech with these weights: what a model directory of them says. It holds memory of its own
  /// as long as it lives.
  func synthesizer(parameters: [String: Tensor], buffers: [String: Tensor]) throws
    -> any Synthesizer

  /// Writes a model directory: weights, configuration, tokenizer. Each file is complete or absent;
  /// the weights come last.
  func write(parameters: [String: Tensor], buffers: [String: Tensor], to directory: String) throws
}
