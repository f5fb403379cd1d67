public import NeuralNetworks

/// What varies between recipes in how a loss is made.
public struct LossOptions: Sendable, Hashable {
  /// Probability of leaving out a row's text.
  public var textDropout: Float = 0.2
  /// Probability of leaving out a row's voice.
  public var voiceDropout: Float = 0.2
  /// Weight of the end-of-speech loss.
  public var endOfSpeechWeight: Float = 0.1
  /// Whether each row learns its end; the official trainer leaves out the longest of a batch.
  public var teachesEveryEnd = true
  /// How often each frame's conditioning is used, with noise of its own each time.
  public var multiplier = 1
  /// The way from noise to data.
  public var path = FlowPath.linear
  /// Of heads that learn by Lagrangian self-distillation.
  public var lsd = LSDOptions()
  /// The noise that flow matching leaves at the end of its path.
  public var remainingNoise: Float = 0.001
  /// Layers of the backbone whose inside the reverse pass computes again: the result is the same.
  public var recomputedLayers = 0
  /// Of drifting heads.
  public var drifting = DriftingOptions()

  /// The official defaults.
  public init() {}
}
