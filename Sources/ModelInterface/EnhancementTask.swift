/// Which of the trainings of a model that makes recordings better.
public enum EnhancementStage: String, Sendable, Hashable, CaseIterable {
  /// The denoiser alone.
  case denoiser
  /// The autoencoder and the vocoder, on clean speech.
  case autoencoder = "enhancer1"
  /// The flow from noise to latents, and the denoiser beside it.
  case flow = "enhancer2"
}

/// What such a model is trained for and with.
public struct EnhancementTask: Sendable, Hashable {
  /// Which training it is.
  public var stage: EnhancementStage
  /// The configuration: a file, or a known name; nil: of the model that the training begins with, or the
  /// trainer's defaults.
  public var configuration: String?
  /// Changes of it: a key and its value in YAML.
  public var changes: [TrainingTask.Override] = []
  /// Folders of clean speech, of noise and of room responses; nil: those of the configuration.
  public var foreground: String?
  /// Of noise.
  public var background: String?
  /// Of room responses.
  public var rooms: String?
  /// A model directory whose weights the training begins with; nil: random ones.
  public var start: String?
  /// For the flow: the model directory of the training before; nil: that of the configuration.
  public var autoencoder: String?
  /// For the flow: the model directory of a denoiser; nil: that of the configuration.
  public var denoiser: String?
  /// Seed of random start weights, of samples and of noise.
  public var seed: UInt64 = 42
  /// Whether products are made in bfloat16.
  public var usesBFloat16 = false
  /// Recordings that samples are made of.
  public var samples = 3
  /// Whether mistakes of the package in its training data are made as it makes them.
  public var followsPackage = false

  /// A training with the trainer's defaults.
  public init(stage: EnhancementStage) { self.stage = stage }
}
