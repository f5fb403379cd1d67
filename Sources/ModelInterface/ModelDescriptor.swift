/// What the tools may ask of a kind of model: one value in the registry's list.
public struct ModelDescriptor: Sendable {
  /// Opens a model: reads and checks the configuration, not yet the weights. The case says what such
  /// models are for.
  public enum Opening: Sendable {
    /// Text to speech.
    case speech(@Sendable (_ path: String) throws -> any SpeechModel)
    /// Recordings to better recordings.
    case enhancement(@Sendable (_ path: String) throws -> any EnhancementModel)
  }

  /// The model's name, as in `tts-model info`.
  public var name: String
  /// Whether a path (a directory, a YAML file, a known name) is such a model.
  public var recognizes: @Sendable (_ path: String) -> Bool
  /// Opens one.
  public var opening: Opening
  /// The names of the configurations that it knows by heart.
  public var configurationNames: [String]
  /// Whether a configuration, a file or a known name, is one for `initialize`.
  public var initializes: @Sendable (_ configuration: String) -> Bool
  /// Writes a model directory with random weights.
  public var initialize: @Sendable (ModelInitialization) throws -> Void

  /// A kind of model.
  public init(
    name: String, recognizes: @escaping @Sendable (String) -> Bool, opening: Opening,
    configurationNames: [String], initializes: @escaping @Sendable (String) -> Bool,
    initialize: @escaping @Sendable (ModelInitialization) throws -> Void
  ) {
    self.name = name
    self.recognizes = recognizes
    self.opening = opening
    self.configurationNames = configurationNames
    self.initializes = initializes
    self.initialize = initialize
  }
}

/// What a new model with random weights is made from.
public struct ModelInitialization: Sendable {
  /// A known name or a file.
  public var configuration: String
  /// The tokenizer file; nil to take the configuration's.
  public var tokenizer: String?
  /// Seed of the weights.
  public var seed: UInt64
  /// The directory to write.
  public var directory: String

  /// What a new model is made from.
  public init(configuration: String, tokenizer: String?, seed: UInt64, directory: String) {
    self.configuration = configuration
    self.tokenizer = tokenizer
    self.seed = seed
    self.directory = directory
  }
}
