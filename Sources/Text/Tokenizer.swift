public import Base

/// Text to ids of a flat vocabulary and back. No special tokens are added.
public protocol Tokenizer: Sendable {
  /// The size of the vocabulary, which a model's configuration must name.
  var size: Int { get }
  /// SHA-256 of the file that the tokenizer was made from: for provenance.
  var digest: SHA256Digest { get }
  /// The ids of a text; an empty text has none.
  func encode(_ text: String) throws -> [Int32]
  /// The text of ids.
  ///
  /// - Throws: `badInput` when an id is outside the vocabulary.
  func decode(_ ids: [Int32]) throws -> String
}

/// The kinds of tokenizer file.
public enum TokenizerKind: Sendable, Equatable {
  /// A SentencePiece `.model`.
  case sentencePiece
  /// A Hugging Face `tokenizer.json`.
  case huggingFace

  /// The kind that a configuration's `lookup_table.tokenizer` means for a path: `tokenizers` and
  /// `json` name the JSON kind, anything else SentencePiece unless the path, before an `@` revision,
  /// ends in `.json`.
  public init(configured name: String, path: String) {
    let file = path.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)[0]
    let json = name == "tokenizers" || name == "json" || file.hasSuffix(".json")
    self = json ? .huggingFace : .sentencePiece
  }
}
