public import NeuralNetworks
public import Tensors

/// Mimi, the neural audio codec of Pocket TTS in its VAE form: waveform to latents at 12.5 Hz and
/// back, all causal (Défossez et al., 2024).
public struct Mimi: Sendable {
  /// The sizes.
  public let configuration: MimiConfiguration
  private let encoder: SEANetEncoder
  private let encoderTransformer: ProjectedTransformer
  private let downsample: StreamingConvolution?
  private let outputProjection: Linear
  private let upsample: StreamingUpsampling?
  private let decoderTransformer: ProjectedTransformer
  private let decoder: SEANetDecoder

  /// Reads the tensors that the official file keeps under `mimi.`.
  public init(_ weights: Weights, _ configuration: MimiConfiguration) throws {
    let sizes = configuration
    self.configuration = sizes
    encoder = try SEANetEncoder(weights["encoder"], sizes.encoder)
    encoderTransformer = try ProjectedTransformer(
      weights["encoder_transformer"], sizes.encoderTransformer)
    downsample =
      sizes.encoderStride == 1
      ? nil
      : try StreamingConvolution(
        weights["downsample"]["conv"]["conv"], inputs: sizes.encoder.dimension,
        outputs: sizes.innerDimension, kernel: 2 * sizes.encoderStride,
        stride: sizes.encoderStride, bias: false, padding: .replicate)
    outputProjection = try Linear(
      weights["quantizer"]["output_proj"], pointwiseInputs: sizes.latentDimension,
      outputs: sizes.outerDimension)
    upsample =
      sizes.decoderStride == 1
      ? nil
      : try StreamingUpsampling(
        weights["upsample"]["convtr"]["convtr"], channels: sizes.outerDimension,
        stride: sizes.decoderStride)
    decoderTransformer = try ProjectedTransformer(
      weights["decoder_transformer"], sizes.decoderTransformer)
    decoder = try SEANetDecoder(weights["decoder"], sizes.decoder)
  }

  /// What streaming encoding remembers.
  public struct EncoderState: Sendable {
    var network: SEANetEncoder.State
    var transformer: Transformer.State
    var downsample: StreamingConvolution.State?
  }

  /// What streaming decoding remembers.
  public struct DecoderState: Sendable {
    var upsample: StreamingUpsampling.State?
    var transformer: Transformer.State
    var network: SEANetDecoder.State
  }

  /// A state that has heard nothing.
  public func initialEncoderState() -> EncoderState {
    EncoderState(
      network: encoder.initialState(), transformer: encoderTransformer.initialState(),
      downsample: downsample?.initialState())
  }

  /// A state that has said nothing.
  public func initialDecoderState() -> DecoderState {
    DecoderState(
      upsample: upsample?.initialState(), transformer: decoderTransformer.initialState(),
      network: decoder.initialState())
  }

  /// What the parts of the encoder give, for comparison with the reference.
  public struct EncoderActivations: Sendable {
    /// `[steps, channels]`
    public var network: Tensor
    /// `[steps, channels]`
    public var transformer: Tensor
    /// `[frames, innerDimension]`
    public var latents: Tensor
  }

  /// Encodes whole frames.
  ///
  /// - Parameter waveform: `[frames * frameSize, channels]`.
  public func encode(_ waveform: Tensor, state: inout EncoderState) -> EncoderActivations {
    let network = encoder(waveform, state: &state.network)
    let transformed = encoderTransformer(network, state: &state.transformer)
    var latents = transformed
    if let downsample, var inner = state.downsample {
      latents = downsample(transformed, state: &inner)
      state.downsample = inner
    }
    return EncoderActivations(network: network, transformer: transformed, latents: latents)
  }

  /// What the parts of the decoder give, for comparison with the reference.
  public struct DecoderActivations: Sendable {
    /// `[steps, outerDimension]`
    public var upsampled: Tensor
    /// `[steps, channels]`
    public var transformer: Tensor
    /// `[frames * frameSize, channels]`
    public var waveform: Tensor
  }

  /// Decodes frames.
  ///
  /// - Parameters:
  ///   - latents: `[frames, latentDimension]`, not normalised.
  public func decode(_ latents: Tensor, state: inout DecoderState)
    -> DecoderActivations
  {
    var x = outputProjection(latents)
    if let upsample, var inner = state.upsample {
      x = upsample(x, state: &inner)
      state.upsample = inner
    }
    let transformed = decoderTransformer(x, state: &state.transformer)
    return DecoderActivations(
      upsampled: x, transformer: transformed,
      waveform: decoder(transformed, state: &state.network))
  }
}

/// A transformer between two optional bias-free projections.
struct ProjectedTransformer: Sendable {
  private let input: Linear?
  private let transformer: Transformer
  private let output: Linear?

  init(_ weights: Weights, _ sizes: MimiConfiguration.ProjectedTransformer) throws {
    let width = sizes.transformer.width
    input =
      sizes.inputDimension == width
      ? nil
      : try Linear(
        weights["input_proj"], inputs: sizes.inputDimension, outputs: width, bias: false)
    transformer = try Transformer(weights["transformer"], sizes.transformer)
    output =
      sizes.outputDimension == width
      ? nil
      : try Linear(
        weights["output_projs"][0], inputs: width, outputs: sizes.outputDimension, bias: false)
  }

  func initialState() -> Transformer.State { transformer.initialState() }

  func callAsFunction(_ x: Tensor, state: inout Transformer.State) -> Tensor {
    let y = transformer(input?(x) ?? x, state: &state)
    return output?(y) ?? y
  }
}

extension Linear {
  /// A convolution of kernel 1 without bias, `weight` being `[outputs, inputs, 1]`.
  init(_ weights: Weights, pointwiseInputs inputs: Int, outputs: Int) throws {
    self.init(
      weight: try weights.matrix(
        "weight", outputs: outputs, inputs: inputs, stored: [outputs, inputs, 1]), bias: nil)
  }
}
