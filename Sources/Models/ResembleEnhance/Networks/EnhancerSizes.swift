/// The sizes of an enhancer: what hyper-parameters say of them, and what the tensors themselves do.
struct EnhancerSizes: Sendable {
  /// Bands of the log-mel.
  var mels = 128
  /// Channels of the latents.
  var latents = 64
  /// Channels that the decoder makes: the bands and some more for the vocoder.
  var decoded = 160
  /// Channels of the autoencoder.
  var autoencoderWidth = 1024
  /// Channels of the flow network.
  var flowWidth = 512
  /// Layers of the flow network.
  var flowLayers = 30
  /// Width of the embedding of time.
  var timeWidth = 128
  /// Channels of the vocoder.
  var vocoderWidth = 96
  /// Channels of its kernel predictors.
  var predictorWidth = 64

  /// The official sizes.
  init() {}

  /// The sizes of tensors that were found to be a model's.
  init(_ shapes: [String: [Int]]) {
    func size(_ name: String, _ axis: Int) -> Int { shapes[name]?[axis] ?? 0 }
    mels = size("lcfm.ae.encoder.0.weight", 1)
    latents = size("lcfm.cfm.net.start.weight", 1)
    decoded = size("lcfm.ae.decoder.5.weight", 0)
    autoencoderWidth = size("lcfm.ae.encoder.0.weight", 0)
    flowWidth = size("lcfm.cfm.net.start.weight", 0)
    flowLayers = StateLayout.count("lcfm.cfm.net.layers.", in: shapes.keys)
    timeWidth = size("lcfm.cfm.net.layers.0.gconv.weight", 1)
    vocoderWidth = size("vocoder.conv_pre.bias", 0)
    predictorWidth = size("vocoder.blocks.0.kernel_predictor.input_conv.0.bias", 0)
  }
}

/// The sizes of a denoiser.
struct DenoiserSizes: Sendable {
  /// Channels of the first level.
  var width = 16
  /// Levels.
  var levels = 4
  /// Blocks in the middle.
  var middle = 2

  /// The official sizes.
  init() {}

  /// The sizes of tensors that were found to be a model's.
  ///
  /// - Parameter prefix: of their names.
  init(_ shapes: [String: [Int]], prefix: String = "") {
    let net = prefix + "net."
    width = shapes[net + "input_proj.bias"]?[0] ?? 0
    levels = StateLayout.count(net + "encoder_blocks.", in: shapes.keys)
    middle = StateLayout.count(net + "middle_blocks.", in: shapes.keys)
  }
}
