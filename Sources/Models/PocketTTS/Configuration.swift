import Base
import Mimi
import NeuralNetworks
import Tensors

/// The official configuration of a Pocket TTS model, key for key (package 4.0.1): see
/// `Configuration+Decoding.swift` for reading and `Configuration+Encoding.swift` for writing YAML.
struct Configuration: Sendable, Equatable {
  /// Which decoder turns the backbone's output into a latent.
  enum FlowType: String, Sendable, CaseIterable {
    /// Lagrangian self-distillation: a head of two times.
    case lsd
    /// Flow matching: a head of one time.
    case flowMatching = "flow_matching"
    /// One-step generation without times.
    case drifting
    /// One-step generation that adds the noise.
    case pointwise

    /// How many times the head is conditioned on.
    var timeCount: Int {
      switch self {
      case .lsd: 2
      case .flowMatching: 1
      case .drifting, .pointwise: 0
      }
    }
  }

  struct Flow: Sendable, Equatable {
    var dim: Int
    var depth: Int
    var type: FlowType
  }

  struct Backbone: Sendable, Equatable {
    var hiddenScale: Int
    var maxPeriod: Int
    var dModel: Int
    var numHeads: Int
    var numLayers: Int
    var attnDim: Int?
    var numKVHeads: Int?
    var dimFeedforward: Int?
  }

  struct LookupTable: Sendable, Equatable {
    var dim: Int
    var nBins: Int
    var rank: Int?
    var tokenizer: String
    var tokenizerPath: String
  }

  struct FlowLM: Sendable, Equatable {
    var dtype: String
    var insertBOSBeforeVoice: Bool
    var zDim: Int?
    var flow: Flow
    var transformer: Backbone
    var lookupTable: LookupTable
    var weightsPath: String?
  }

  struct SEANet: Sendable, Equatable {
    var dimension: Int
    var channels: Int
    var nFilters: Int
    var nResidualLayers: Int
    var ratios: [Int]
    var kernelSize: Int
    var residualKernelSize: Int
    var lastKernelSize: Int
    var dilationBase: Int
    var padMode: String
    var compress: Int
  }

  struct CodecTransformer: Sendable, Equatable {
    var dModel: Int
    var inputDimension: Int
    var outputDimensions: [Int]
    var numHeads: Int
    var numLayers: Int
    var layerScale: Double
    var context: Int
    var dimFeedforward: Int
    var maxPeriod: Int
  }

  struct Codec: Sendable, Equatable {
    var dtype: String
    var sampleRate: Int
    var channels: Int
    var frameRate: Double
    var innerDim: Int?
    var outerDim: Int?
    var weightsPath: String?
    var seanet: SEANet
    var decoderSEANet: SEANet?
    var transformer: CodecTransformer
    var decoderTransformer: CodecTransformer?
    var quantizerDimension: Int
    var quantizerOutputDimension: Int
  }

  /// One character and what stands in its place.
  struct Replacement: Sendable, Equatable {
    var character: String
    var replacement: String
  }

  var weightsPath: String?
  var weightsPathWithoutVoiceCloning: String?
  var padWithSpacesForShortInputs = false
  var removeSemicolons = false
  var appendTerminalPunctuation = true
  var capitalizeFirstLetter = true
  var replaceCharacters: [Replacement] = []
  var recommendedFramesAfterEOS: Int?
  var defaultTemperature = 0.3
  var defaultEOSThreshold = -4.0
  var flowLM: FlowLM
  var mimi: Codec
}

extension Configuration {
  /// The sizes of the backbone.
  var backbone: TransformerConfiguration {
    let t = flowLM.transformer
    return TransformerConfiguration(
      width: t.dModel,
      attention: AttentionShape(
        heads: t.numHeads, keyValueHeads: t.numKVHeads ?? t.numHeads,
        headSize: (t.attnDim ?? t.dModel) / t.numHeads),
      layers: t.numLayers, feedForward: t.dimFeedforward ?? t.dModel * t.hiddenScale,
      maxPeriod: Float(t.maxPeriod), hasLayerScale: false)
  }

  /// Width of what the heads read: `z_proj`'s output where there is one.
  var conditionWidth: Int { flowLM.zDim ?? flowLM.transformer.dModel }

  /// Channels of the generated latents.
  var latentWidth: Int { mimi.quantizerDimension }

  /// Channels of the voice's latents.
  var voiceWidth: Int { mimi.innerDim ?? mimi.seanet.dimension }

  /// The sizes of the codec.
  var codec: MimiConfiguration {
    func network(_ s: SEANet) -> MimiConfiguration.SEANet {
      MimiConfiguration.SEANet(
        dimension: s.dimension, channels: s.channels, filters: s.nFilters,
        residualLayers: s.nResidualLayers, ratios: s.ratios, kernelSize: s.kernelSize,
        lastKernelSize: s.lastKernelSize, residualKernelSize: s.residualKernelSize,
        dilationBase: s.dilationBase, replicatesPadding: s.padMode == "replicate",
        compress: s.compress)
    }
    func transformer(_ t: CodecTransformer) -> MimiConfiguration.ProjectedTransformer {
      MimiConfiguration.ProjectedTransformer(
        inputDimension: t.inputDimension,
        outputDimension: t.outputDimensions.first ?? t.inputDimension,
        transformer: TransformerConfiguration(
          width: t.dModel,
          attention: AttentionShape(
            heads: t.numHeads, keyValueHeads: t.numHeads, headSize: t.dModel / t.numHeads,
            context: t.context),
          layers: t.numLayers, feedForward: t.dimFeedforward, maxPeriod: Float(t.maxPeriod),
          hasLayerScale: true))
    }
    let decoder = mimi.decoderSEANet ?? mimi.seanet
    return MimiConfiguration(
      sampleRate: mimi.sampleRate, frameRate: mimi.frameRate,
      innerDimension: mimi.innerDim ?? mimi.seanet.dimension,
      outerDimension: mimi.outerDim ?? decoder.dimension,
      latentDimension: mimi.quantizerDimension, encoder: network(mimi.seanet),
      decoder: network(decoder), encoderTransformer: transformer(mimi.transformer),
      decoderTransformer: transformer(mimi.decoderTransformer ?? mimi.transformer))
  }
}
