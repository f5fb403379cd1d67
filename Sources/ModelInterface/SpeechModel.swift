public import Base
public import Tensors
public import Text

/// A model that speaks.
public protocol SpeechModel: Model {
  /// The names of the voices that come with the model, sorted.
  var voiceNames: [String] { get }
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
  /// The model with adapters in its weights, each with a weight of its own.
  ///
  /// - Throws: `configuration` when one belongs to other weights.
  func adapted(_ adapters: [(adapter: LowRankAdapter, path: String, scale: Float)]) throws
    -> any SpeechModel
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
  func replacing(_ tensors: [String: Tensor], from subject: String) throws -> any SpeechModel
  /// The mean of models: each weight is made when it is asked for.
  ///
  /// - Parameters:
  ///   - others: models of the same architecture, tokenizer and codec.
  ///   - shares: of this model and of each other; their sum is 1.
  /// - Throws: `configuration` when one differs in more than its weights.
  func averaged(with others: [any SpeechModel], shares: [Double]) throws -> any SpeechModel
}
