public import Base

/// The tokenizer of a Hugging Face `tokenizer.json`, with a Unigram or BPE model.
public final class HuggingFaceTokenizer: Tokenizer {
  /// The number of different tokens, added ones included.
  public let size: Int
  /// SHA-256 of the file.
  public let digest: SHA256Digest

  private let normalizer: TextNormalizer?
  private let preTokenizer: PreTokenizer?
  private let model: TokenModel
  private let decoder: TokenDecoder?
  /// Added tokens that are sought in the text as it is, and in the normalised text.
  private let literalTokens: AddedTokens
  private let normalizedTokens: AddedTokens
  /// What each id says; nil for special tokens, which decoding leaves out.
  private let contents: [Int32: String?]

  /// Reads the bytes of a file.
  ///
  /// - Throws: `configuration` when they are no tokenizer, or one with a component that is not
  ///   supported, which the message names.
  public init(_ bytes: [UInt8]) throws {
    let pieces = try PieceObject(bytes)
    let json: JSON
    do {
      json = try JSON.parse(pieces?.rest ?? bytes)
    } catch {
      throw Failure.damagedTokenizer(error.problem)
    }
    let root = try TokenizerComponent("file", json)
    for key in ["truncation", "padding", "post_processor"] where !root.isAbsent(key) {
      throw Failure.unsupportedTokenizer("'\(key)'")
    }
    let normalizer = try TextNormalizer.parsed(json["normalizer"])
    self.normalizer = normalizer
    preTokenizer = try PreTokenizer.parsed(json["pre_tokenizer"])
    decoder = try TokenDecoder.parsed(json["decoder"])
    model = try TokenModel.parsed(json["model"], pieces: pieces)
    digest = SHA256Digest(of: bytes)

    let vocabulary = model.vocabulary
    let added = try Self.addedTokens(root, vocabulary: vocabulary, entryCount: model.entryCount)
    literalTokens = AddedTokens(added.filter { !$0.normalized })
    normalizedTokens = AddedTokens(added.filter(\.normalized)) {
      normalizer?.normalized($0) ?? $0
    }
    size = Set(vocabulary.keys).union(added.map { Array($0.content.utf8) }).count
    var contents = model.pieces.mapValues { Optional(String(decoding: $0, as: UTF8.self)) }
    for token in added {
      contents.updateValue(token.special ? nil : token.content, forKey: token.id)
    }
    self.contents = contents
  }

  /// The `added_tokens` of a file. One that the vocabulary holds has its id; another gets the next.
  private static func addedTokens(
    _ root: TokenizerComponent, vocabulary: [[UInt8]: Int32], entryCount: Int
  ) throws -> [AddedTokens.Token] {
    var tokens: [AddedTokens.Token] = []
    var next = Int32(entryCount)
    for json in try root.list("added_tokens") {
      let component = try TokenizerComponent("added_tokens", json)
      let content = try component.string("content")
      guard !content.isEmpty else { continue }
      let special = try component.bool("special", default: false)
      let known = vocabulary[Array(content.utf8)]
      guard next < Int32.max else { throw component.malformed("id") }
      tokens.append(
        AddedTokens.Token(
          id: known ?? next, content: content,
          singleWord: try component.bool("single_word", default: false),
          stripsLeft: try component.bool("lstrip", default: false),
          stripsRight: try component.bool("rstrip", default: false),
          normalized: try component.bool("normalized", default: !special), special: special))
      if known == nil { next += 1 }
    }
    return tokens
  }

  /// The ids of a text; an empty text has none.
  public func encode(_ text: String) throws -> [Int32] {
    var ids: [Int32] = []
    let bytes = Array(text.utf8)
    var isFirst = true
    for segment in literalTokens.segments(of: bytes) {
      switch segment {
      case .token(let id): ids.append(id)
      case .text(let part):
        let part = String(decoding: part, as: UTF8.self)
        let normalized = normalizer?.normalized(part) ?? part
        for segment in normalizedTokens.segments(of: Array(normalized.utf8)) {
          switch segment {
          case .token(let id): ids.append(id)
          case .text(let part): try encodeWords(part, isFirst: isFirst, into: &ids)
          }
          isFirst = false
        }
      }
      isFirst = false
    }
    return ids
  }

  private func encodeWords(
    _ text: ArraySlice<UInt8>, isFirst: Bool, into ids: inout [Int32]
  ) throws {
    guard let preTokenizer else { return try model.encode(Array(text), into: &ids) }
    let piece = PreTokenizer.Piece(text: String(decoding: text, as: UTF8.self), isFirst: isFirst)
    for word in preTokenizer.pieces(of: piece) {
      try model.encode(Array(word.text.utf8), into: &ids)
    }
  }

  /// The text of ids, without special tokens.
  public func decode(_ ids: [Int32]) throws -> String {
    var tokens: [String] = []
    for id in ids {
      guard let content = contents[id] else { throw Failure.unknownToken(id, size: size) }
      if let content { tokens.append(content) }
    }
    return decoder?.decoded(tokens).joined() ?? tokens.joined(separator: " ")
  }
}
