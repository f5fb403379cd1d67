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
  /// What the frozen part of a model makes of them, with the end of speech after the last frame; nil
  /// where it has yet to be computed. Voice and text are then no longer left out at random.
  public var features: FrozenFeatures?

  /// One utterance to learn from.
  public init(
    latents: Tensor, voice: Tensor?, tokens: [Int32], features: FrozenFeatures? = nil
  ) {
    self.latents = latents
    self.voice = voice
    self.tokens = tokens
    self.features = features
  }
}

/// How much of a model comes before all that trains, and need be computed only once.
public enum FrozenPart: Sendable, Hashable {
  /// The embeddings and the first layers of the backbone.
  case layers(Int)
  /// All but the heads.
  case backbone
}

/// What a frozen part makes of an utterance.
public struct FrozenFeatures: Sendable {
  /// The part that made them.
  public var part: FrozenPart
  /// Of layers: at each position. Of the backbone: what the heads read, at each frame and after the
  /// last. `[positions, width]`.
  public var values: Tensor

  /// What a frozen part makes of an utterance.
  public init(part: FrozenPart, values: Tensor) {
    self.part = part
    self.values = values
  }
}

/// The loss of a batch and what it is made of.
public struct LossReport: Sendable {
  /// One number, on the tape of the parameters.
  public var loss: Tensor
  /// The parts by their official names: `loss`, `flow_loss`, `flow_diag`, `flow_distill` (only when
  /// computed), `eos_loss`, `drifting_loss`, `distill_mse`, `head_loss`.
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
  /// The rows of the linear maps that share a matrix, where an optimiser may make its steps orthogonal
  /// (Muon); nil for what is no such matrix.
  ///
  /// - Parameter includingHead: whether the flow head's matrices count.
  func orthogonalBlocks(_ name: String, includingHead: Bool) -> [Int]?
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
  /// The digest of the weights that it learns from; nil when it learns from recordings.
  var teacherDigest: SHA256Digest? { get }
  /// - Throws: `configuration` or `usage` where it cannot learn with such a loss.
  func check(_ options: LossOptions) throws

  /// The largest part of the model that comes before all that trains; nil where there is none.
  ///
  /// - Parameter names: of the parameters that train.
  func frozenPart(training names: Set<String>) -> FrozenPart?
  /// What a frozen part makes of an utterance, with the voice and the text that it has.
  func features(
    of example: TrainingExample, part: FrozenPart, buffers: [String: Tensor]
  ) throws -> FrozenFeatures
  /// The digest of all that a frozen part computes with.
  func digest(of part: FrozenPart, buffers: [String: Tensor]) -> SHA256Digest

  /// Bytes that the backbone keeps of a batch for the reverse pass.
  ///
  /// - Parameters:
  ///   - positions: of all sequences, padding included.
  ///   - layers: how many are computed again.
  func activationBytes(positions: Int, recomputing layers: Int) throws -> Int

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
