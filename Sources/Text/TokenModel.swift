internal import Base

/// The model of a `tokenizer.json`: which pieces a word is cut into.
enum TokenModel: Sendable {
  case unigram(UnigramModel)
  case bytePair(BytePairModel)

  /// The `model` of a file. Files of before the `type` member are told by their other members.
  ///
  /// - Parameter pieces: the `vocab` where it is an object.
  static func parsed(_ json: JSON?, pieces: PieceObject?) throws -> TokenModel {
    guard let json else { throw Failure.notATokenizer() }
    let component = try TokenizerComponent("model", json)
    let type =
      json["type"]?.string ?? (component.isAbsent("merges") ? "Unigram" : "BPE")
    switch type {
    case "Unigram": return .unigram(try UnigramModel(component))
    case "BPE":
      guard let pieces else { throw component.malformed("vocab") }
      return .bytePair(try BytePairModel(component, pieces))
    default: throw Failure.unsupportedTokenizer("the model '\(type)'")
    }
  }

  func encode(_ word: [UInt8], into ids: inout [Int32]) throws {
    switch self {
    case .unigram(let model): try model.encode(word, into: &ids)
    case .bytePair(let model): model.encode(word, into: &ids)
    }
  }

  /// The pieces by id.
  var pieces: [Int32: [UInt8]] {
    switch self {
    case .unigram(let model):
      Dictionary(uniqueKeysWithValues: model.pieces.enumerated().map { (Int32($0), $1) })
    case .bytePair(let model):
      // Of pieces that share an id the first in byte order, so that runs do not differ.
      Dictionary(model.vocabulary.map { ($1, $0) }) {
        $0.lexicographicallyPrecedes($1) ? $0 : $1
      }
    }
  }

  /// The ids by piece; of equal pieces the last id.
  var vocabulary: [[UInt8]: Int32] {
    switch self {
    case .unigram(let model):
      Dictionary(model.pieces.enumerated().map { ($1, Int32($0)) }) { _, last in last }
    case .bytePair(let model): model.vocabulary
    }
  }

  /// The number of entries, which is the first id that a token added later gets.
  var entryCount: Int {
    switch self {
    case .unigram(let model): model.pieces.count
    case .bytePair(let model): model.vocabulary.count
    }
  }
}

extension UnigramModel {
  fileprivate init(_ component: TokenizerComponent) throws {
    var pieces: [[UInt8]] = []
    var scores: [Double] = []
    guard let vocabulary = component.json["vocab"]?.array, !vocabulary.isEmpty,
      vocabulary.count <= Int32.max
    else { throw component.malformed("vocab") }
    for entry in vocabulary {
      guard let entry = entry.array, entry.count == 2, let piece = entry[0].string,
        let score = entry[1].double
      else { throw component.malformed("vocab") }
      pieces.append(Array(piece.utf8))
      scores.append(score)
    }
    var unknown: Int32?
    if !component.isAbsent("unk_id") {
      let id = try component.count("unk_id")
      guard id < pieces.count else { throw component.malformed("unk_id") }
      unknown = Int32(id)
    }
    self.init(
      pieces: pieces, scores: scores, unknown: unknown,
      byteFallback: try component.bool("byte_fallback", default: false))
  }
}

extension BytePairModel {
  fileprivate init(_ component: TokenizerComponent, _ pieces: PieceObject) throws {
    guard component.isAbsent("dropout") || component.json["dropout"]?.double == 0 else {
      throw Failure.unsupportedTokenizer("dropout")
    }
    for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
      guard component.isAbsent(key) || component.json[key] == .string("") else {
        throw Failure.unsupportedTokenizer(key)
      }
    }
    let vocabulary = Dictionary(pieces.pieces.map { ($0.bytes, $0.id) }) { _, last in last }
    var merges: [Pair: Merge] = [:]
    for (rank, merge) in try component.list("merges").enumerated() {
      guard let (left, right) = Self.parts(of: merge), let leftID = vocabulary[left],
        let rightID = vocabulary[right], let id = vocabulary[left + right], rank < Int32.max
      else { throw component.malformed("merges") }
      merges[Pair(left: leftID, right: rightID)] = Merge(rank: Int32(rank), id: id)
    }
    var unknown: Int32?
    if !component.isAbsent("unk_token") {
      guard let id = vocabulary[Array(try component.string("unk_token").utf8)] else {
        throw component.malformed("unk_token")
      }
      unknown = id
    }
    self.init(
      vocabulary: vocabulary, merges: merges, unknown: unknown,
      fuseUnknown: try component.bool("fuse_unk", default: false),
      byteFallback: try component.bool("byte_fallback", default: false),
      ignoreMerges: try component.bool("ignore_merges", default: false))
  }

  /// A merge is a list of two pieces, or in older files both with a space between.
  private static func parts(of merge: JSON) -> ([UInt8], [UInt8])? {
    let parts =
      merge.stringElements?.map { Array($0.utf8) }
      ?? merge.string.map {
        Array($0.utf8).split(separator: 32, omittingEmptySubsequences: false).map(Array.init)
      }
    guard let parts, parts.count == 2 else { return nil }
    return (parts[0], parts[1])
  }
}
