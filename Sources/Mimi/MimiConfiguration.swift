public import NeuralNetworks
import Tensors

/// The sizes of a Mimi codec (the VAE variant of Pocket TTS), under the official names.
public struct MimiConfiguration: Sendable, Hashable {
  /// One side's convolutional network.
  public struct SEANet: Sendable, Hashable {
    /// Channels at the bottleneck.
    public var dimension: Int
    /// Channels of the waveform.
    public var channels: Int
    /// Channels next to the waveform; doubled at each stage.
    public var filters: Int
    /// Residual blocks a stage.
    public var residualLayers: Int
    /// Strides, in the decoder's order.
    public var ratios: [Int]
    /// Kernel of the first convolution.
    public var kernelSize: Int
    /// Kernel of the last convolution.
    public var lastKernelSize: Int
    /// Kernel of the residual blocks.
    public var residualKernelSize: Int
    /// Dilation of the j-th residual block is this to the power j.
    public var dilationBase: Int
    /// Whether the first column is repeated to the left, instead of zeros.
    public var replicatesPadding: Bool
    /// Hidden channels of a residual block are the channels divided by this.
    public var compress: Int

    /// All sizes.
    public init(
      dimension: Int, channels: Int, filters: Int, residualLayers: Int, ratios: [Int],
      kernelSize: Int, lastKernelSize: Int, residualKernelSize: Int, dilationBase: Int,
      replicatesPadding: Bool, compress: Int
    ) {
      self.dimension = dimension
      self.channels = channels
      self.filters = filters
      self.residualLayers = residualLayers
      self.ratios = ratios
      self.kernelSize = kernelSize
      self.lastKernelSize = lastKernelSize
      self.residualKernelSize = residualKernelSize
      self.dilationBase = dilationBase
      self.replicatesPadding = replicatesPadding
      self.compress = compress
    }

    /// Samples a step of the bottleneck.
    public var hop: Int { ratios.reduce(1, *) }

    var padding: StreamingConvolution.Padding { replicatesPadding ? .replicate : .zeros }
  }

  /// One side's transformer, with projections where its width is not the network's.
  public struct ProjectedTransformer: Sendable, Hashable {
    /// Width of what comes in.
    public var inputDimension: Int
    /// Width of what goes out.
    public var outputDimension: Int
    /// The transformer.
    public var transformer: TransformerConfiguration

    /// All sizes.
    public init(
      inputDimension: Int, outputDimension: Int, transformer: TransformerConfiguration
    ) {
      self.inputDimension = inputDimension
      self.outputDimension = outputDimension
      self.transformer = transformer
    }
  }

  /// Samples a second.
  public var sampleRate: Int
  /// Latent frames a second.
  public var frameRate: Double
  /// Channels of the encoder's latents.
  public var innerDimension: Int
  /// Channels into the upsampler.
  public var outerDimension: Int
  /// Channels of the latents that are decoded.
  public var latentDimension: Int
  /// The encoder's network.
  public var encoder: SEANet
  /// The decoder's network.
  public var decoder: SEANet
  /// The encoder's transformer.
  public var encoderTransformer: ProjectedTransformer
  /// The decoder's transformer.
  public var decoderTransformer: ProjectedTransformer

  /// All sizes.
  public init(
    sampleRate: Int, frameRate: Double, innerDimension: Int, outerDimension: Int,
    latentDimension: Int, encoder: SEANet, decoder: SEANet,
    encoderTransformer: ProjectedTransformer, decoderTransformer: ProjectedTransformer
  ) {
    self.sampleRate = sampleRate
    self.frameRate = frameRate
    self.innerDimension = innerDimension
    self.outerDimension = outerDimension
    self.latentDimension = latentDimension
    self.encoder = encoder
    self.decoder = decoder
    self.encoderTransformer = encoderTransformer
    self.decoderTransformer = decoderTransformer
  }

  /// Samples a frame.
  public var frameSize: Int { Int(Double(sampleRate) / frameRate) }
  /// Steps of the encoder's bottleneck a frame; 1 when there is no downsampler.
  public var encoderStride: Int { frameSize / encoder.hop }
  /// Steps of the decoder's bottleneck a frame; 1 when there is no upsampler.
  public var decoderStride: Int { frameSize / decoder.hop }
}
