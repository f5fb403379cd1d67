import Base
import Yams

/// What a model is made of beyond its hyper-parameters: the trainer has these sizes in its code, not in a
/// configuration, and a file of weights shows them.
struct ModelSizes: Sendable, Equatable {
  /// Channels within the autoencoder.
  var autoencoderWidth = 1024
  /// Channels within the velocity network.
  var flowWidth = 512
  /// Channels within the vocoder's kernel predictors.
  var predictorWidth = 64
  /// Channels of the U-Net's first level.
  var denoiserWidth = 16
  /// What the channels of the discriminators are divided by.
  var discriminatorDivisor = 1
  /// How many blocks there are.
  var counts = StateLayout.Counts()

  /// The trainer's own.
  init() {}

  /// Values for the letters of ``StateLayout``; the time is embedded in 128 channels.
  var letters: [Character: Int] {
    ["A": autoencoderWidth, "W": flowWidth, "P": predictorWidth, "U": denoiserWidth, "G": 128]
  }

  /// Reads `sizes` of a configuration.
  ///
  /// - Throws: `configuration` for another key, or a size that such models cannot have.
  init(_ node: Node, file: String) throws {
    self.init()
    guard let mapping = node.mapping else {
      throw Failure.configuration(file, "'sizes' is no mapping", "see tts-model(1)")
    }
    for (key, value) in mapping {
      let name = key.scalar?.string ?? "?"
      guard let number = value.scalar.flatMap({ Int($0.string) }), (0...1 << 16).contains(number)
      else {
        throw Failure.configuration(file, "'\(name)' is no size", "give a whole number")
      }
      switch name {
      case "autoencoder_width": autoencoderWidth = number
      case "flow_width": flowWidth = number
      case "flow_layers": counts.flowLayers = number
      case "predictor_width": predictorWidth = number
      case "denoiser_width": denoiserWidth = number
      case "discriminator_divisor": discriminatorDivisor = max(1, number)
      case "denoiser_levels": counts.levels = number
      case "denoiser_middle_blocks": counts.middleBlocks = number
      default:
        throw Failure.configuration(file, "'\(name)' is no size of the model", "see tts-model(1)")
      }
    }
    // Groups of the norms: 32 in the autoencoder, 16 channels each in the denoiser.
    guard autoencoderWidth.isMultiple(of: 32), denoiserWidth.isMultiple(of: 16),
      counts.levels <= 10, counts.middleBlocks <= 1000, counts.flowLayers <= 1000
    else {
      throw Failure.configuration(
        file, "sizes that the model cannot have",
        "autoencoder_width is a multiple of 32, denoiser_width of 16; there are at most 10 levels")
    }
  }
}
