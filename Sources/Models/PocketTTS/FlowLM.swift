import NeuralNetworks
import Tensors

/// The language model over continuous latents: text and voice embeddings, the backbone, the
/// end-of-speech logit and the flow head.
///
/// Sequence: `[bos_before_voice] voice… text… BOS latent…`, positions counted through from 0.
struct FlowLM: Sendable {
  let configuration: Configuration
  /// `[1, d]`; nil when the configuration has none.
  let bosBeforeVoice: Tensor?
  /// `[channels]`, in normalised latent space.
  let bos: Tensor
  /// `[channels]`
  let latentMean: Tensor
  /// `[channels]`
  let latentDeviation: Tensor
  let head: FlowHead
  let transformer: Transformer
  private let speakerProjection: Matrix
  private let embedding: Tensor
  private let embeddingProjection: Linear?
  private let inputLinear: Linear
  private let outNorm: LayerNorm
  private let zProjection: Linear?
  private let outEOS: Linear

  /// Reads the tensors that the official file keeps under `flow_lm.`.
  init(_ weights: Weights, _ configuration: Configuration) throws {
    self.configuration = configuration
    let lm = configuration.flowLM
    let (d, channels) = (lm.transformer.dModel, configuration.latentWidth)
    bosBeforeVoice =
      lm.insertBOSBeforeVoice
      ? try weights.tensor("bos_before_voice", [1, 1, d]).reshaped([1, d]) : nil
    bos = try weights.tensor("bos_emb", [channels])
    latentMean = try weights.tensor("emb_mean", [channels])
    latentDeviation = try weights.tensor("emb_std", [channels])
    speakerProjection = try weights.inFloat32.matrix(
      "speaker_proj_weight", outputs: d, inputs: configuration.voiceWidth)
    let table = lm.lookupTable
    embedding = try weights["conditioner"]["embed"].tensor(
      "weight", [table.nBins + 1, table.rank ?? d])
    embeddingProjection = try table.rank.map {
      try Linear(weights["conditioner"]["proj"], inputs: $0, outputs: d, bias: false)
    }
    inputLinear = try Linear(
      weights["input_linear"].inFloat32, inputs: channels, outputs: d, bias: false)
    transformer = try Transformer(weights["transformer"], configuration.backbone)
    outNorm = try LayerNorm(weights["out_norm"], width: d, epsilon: 1e-5)
    zProjection = try lm.zDim.map {
      try Linear(weights["z_proj"], inputs: d, outputs: $0, bias: false)
    }
    outEOS = try Linear(
      weights["out_eos"].inFloat32, inputs: configuration.conditionWidth, outputs: 1)
    head = try FlowHead(weights["flow_net"], configuration)
  }

  /// - Parameter latents: `[frames, voice channels]`, raw.
  /// - Returns: `[frames, d]`.
  func embed(voice latents: Tensor) -> Tensor { speakerProjection(latents) }

  /// - Returns: `[tokens, d]`.
  func embed(tokens: [Int32]) -> Tensor {
    let rows = embedding.gatherRows(tokens)
    return embeddingProjection?(rows) ?? rows
  }

  /// - Parameter latents: `[frames, channels]`, normalised.
  /// - Returns: `[frames, d]`.
  func embed(latents: Tensor) -> Tensor {
    inputLinear(latents)
  }

  /// What both heads read.
  ///
  /// - Parameter x: the transformer's output `[positions, d]`.
  /// - Returns: `[positions, Z]`.
  func hidden(_ x: Tensor) -> Tensor {
    let normalized = outNorm(x)
    return zProjection?(normalized) ?? normalized
  }

  /// - Returns: `[positions, 1]`.
  func endOfSpeechLogits(_ hidden: Tensor) -> Tensor {
    outEOS(hidden)
  }

  /// (latents - mean) / deviation.
  func normalize(_ latents: Tensor) -> Tensor {
    let inverse = latentDeviation.withValues { Tensor($0.map { 1 / $0 }) }
    return (latents - latentMean) * inverse
  }

  /// latents · deviation + mean.
  func denormalize(_ latents: Tensor) -> Tensor { latents * latentDeviation + latentMean }
}
