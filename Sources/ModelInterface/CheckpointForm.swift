public import Pickles

/// The form in which a model's own trainer keeps what it learned: PyTorch files, read by
/// `tts-model convert`; ``Model/writeCheckpoint(to:)`` writes them. One value in the registry's list.
public struct CheckpointForm: Sendable {
  /// The model's name.
  public var name: String
  /// The file with the weights in a directory that the trainer wrote; nil where it is no such directory.
  public var file: @Sendable (_ directory: String) throws -> String?
  /// Whether a file is such a checkpoint, by the names in it.
  public var recognizes: @Sendable (TorchFile) -> Bool
  /// Writes a model directory.
  ///
  /// Throws `configuration` where the tensors are not those of the model, `badInput` where they are
  /// damaged or not finite.
  public var convert: @Sendable (TorchFile, CheckpointConversion) throws -> Void

  /// A form of checkpoints.
  public init(
    name: String, file: @escaping @Sendable (String) throws -> String? = { _ in nil },
    recognizes: @escaping @Sendable (TorchFile) -> Bool,
    convert: @escaping @Sendable (TorchFile, CheckpointConversion) throws -> Void
  ) {
    self.name = name
    self.file = file
    self.recognizes = recognizes
    self.convert = convert
  }
}

/// How a checkpoint becomes a model directory.
public struct CheckpointConversion: Sendable {
  /// What the checkpoint does not say of the model: a file, or a known name; nil for the file beside it.
  public var configuration: String?
  /// The parameters themselves instead of their running average.
  public var raw: Bool
  /// How weights are written.
  public var form: ModelForm
  /// The directory to write.
  public var directory: String

  /// What `tts-model convert` was told.
  public init(configuration: String?, raw: Bool, form: ModelForm, directory: String) {
    self.configuration = configuration
    self.raw = raw
    self.form = form
    self.directory = directory
  }
}
