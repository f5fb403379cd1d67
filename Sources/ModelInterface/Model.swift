import Base
public import Tensors

/// An opened model of any kind: its parts are loaded when asked for.
public protocol Model: Sendable {
  /// What it was opened from, for messages.
  var path: String { get }
  /// Facts for `tts-model info`, in order.
  func facts() throws -> [(name: String, value: String)]
  /// Fetches what is not here yet; the local paths of its files.
  func fetch() throws -> [String]
  /// Writes the model as one directory with official names.
  ///
  /// - Throws: `usage` for a form that such models have not.
  func write(to directory: String, as form: ModelForm) throws
  /// Writes the weights that its own trainer keeps in a checkpoint: a PyTorch file, or a directory with one.
  ///
  /// - Throws: `cannotCreate` where there is one.
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
