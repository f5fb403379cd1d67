public import Base
public import Tensors
public import Text

/// What the tools may ask of a kind of model: one value in the registry's list.
public struct ModelDescriptor: Sendable {
  /// The model's name, as in `tts-model info`.
  public var name: String
  /// Whether a path (a directory, a YAML file, a known name) is such a model.
  public var recognizes: @Sendable (_ path: String) -> Bool
  /// Opens a model: reads and checks the configuration, not yet the weights.
  public var open: @Sendable (_ path: String) throws -> any Model
  /// The names of the configurations that it knows by heart.
  public var configurationNames: [String]
  /// Writes a model directory with random weights.
  public var initialize: @Sendable (ModelInitialization) throws -> Void

  /// A kind of model.
  public init(
    name: String, recognizes: @escaping @Sendable (String) -> Bool,
    open: @escaping @Sendable (String) throws -> any Model, configurationNames: [String],
    initialize: @escaping @Sendable (ModelInitialization) throws -> Void
  ) {
    self.name = name
    self.recognizes = recognizes
    self.open = open
    self.configurationNames = configurationNames
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

/// An opened model: its parts are loaded when asked for.
public protocol Model: Sendable {
  /// What it was opened from, for messages.
  var path: String { get }
  /// The names of the voices that come with the model, sorted.
  var voiceNames: [String] { get }
  /// Facts for `tts-model info`, in order.
  func facts() throws -> [(name: String, value: String)]
  /// Fetches what is not here yet; the local paths of its tokenizer and weights.
  func fetch() throws -> [String]
  /// The local path of a voice: a file, a name on a hub, or a voice that comes with the model.
  func voicePath(_ voice: String) throws -> String
  /// The tokenizer of its text.
  func tokenizer() throws -> any Tokenizer
  /// The digest of the tokenizer.
  func tokenizerDigest() throws -> SHA256Digest
  /// Its codec.
  ///
  /// - Parameter precision: how weights are held; what stands apart from float32 is stated with the
  ///   option of the tools.
  func codec(precision: WeightFormat) throws -> any AudioCodec
  /// The digest of the codec's encoding path alone; hashes weights, builds nothing.
  func encoderDigest() throws -> SHA256Digest
  /// The digest of the codec's decoding path alone.
  func decoderDigest() throws -> SHA256Digest
  /// The digest of all that generation computes with.
  func synthesizerDigest() throws -> SHA256Digest
  /// Text to speech.
  ///
  /// - Parameter precision: as for ``codec(precision:)``.
  func synthesizer(precision: WeightFormat) throws -> any Synthesizer
  /// Writes the weights as they are computed with to files beside them, unless they are there; the
  /// paths of these.
  func pack(precision: WeightFormat) throws -> [String]
  /// The model with adapters in its weights, each with a weight of its own.
  ///
  /// - Throws: `configuration` when one belongs to other weights.
  func adapted(_ adapters: [(adapter: LowRankAdapter, path: String, scale: Float)]) throws
    -> any Model
  /// The model as something that learns.
  ///
  /// - Throws: `configuration` where the task does not suit the model.
  func trainable(_ task: TrainingTask) throws -> any Trainable
  /// The model with other values of some tensors.
  ///
  /// - Parameters:
  ///   - tensors: by official names.
  ///   - subject: where they are from, for messages.
  /// - Throws: `configuration` when one fits nothing in the model.
  func replacing(_ tensors: [String: Tensor], from subject: String) throws -> any Model
  /// The mean of models: each weight is made when it is asked for.
  ///
  /// - Parameters:
  ///   - others: models of the same architecture, tokenizer and codec.
  ///   - shares: of this model and of each other; their sum is 1.
  /// - Throws: `configuration` when one differs in more than its weights.
  func averaged(with others: [any Model], shares: [Double]) throws -> any Model
  /// Writes the model as one directory with official names.
  func write(to directory: String, as form: ModelForm) throws
  /// Writes the weights that its own trainer keeps in a checkpoint, as a PyTorch file.
  func writeCheckpoint(to path: String) throws
}

/// How a model directory is written.
public struct ModelForm: Sendable, Hashable {
  /// Of matrices and convolutions: float32 or bfloat16; the rest is float32.
  public var precision: WeightFormat
  /// Where the directory will be on a hub, `OWNER/REPOSITORY/FOLDER`; its configuration then names its
  /// files there. nil: beside it.
  public var hubFolder: String?

  /// All in float32, to be read where it is.
  public init(precision: WeightFormat = .float32, hubFolder: String? = nil) {
    self.precision = precision
    self.hubFolder = hubFolder
  }
}

extension Model {
  /// Writes the model as one directory with official names, all in float32.
  public func write(to directory: String) throws { try write(to: directory, as: ModelForm()) }
}
