internal import Base

/// The Unigram model of a `tokenizer.json`: the most probable cut of a word into pieces.
///
/// It differs from SentencePiece's own in summing scores as 64-bit numbers and in that every entry
/// of the vocabulary takes part, control pieces and byte pieces by their names too.
struct UnigramModel: Sendable {
  /// The pieces by id.
  let pieces: [[UInt8]]
  private let unknown: Int32?
  private let lattice: PieceLattice<Double>
  private let byteIDs: [Int32]?

  init(pieces: [[UInt8]], scores: [Double], unknown: Int32?, byteFallback: Bool) {
    self.pieces = pieces
    self.unknown = unknown
    let trie = PieceTrie(pieces.enumerated().map { ($1, Int32($0)) })
    lattice = PieceLattice(trie: trie, scores: scores, lowest: scores.min() ?? 0)
    byteIDs = byteFallback ? bytePieceIDs { trie.id(of: $0) } : nil
  }

  /// Appends the ids of one word, which is UTF-8.
  func encode(_ word: [UInt8], into ids: inout [Int32]) throws {
    guard !word.isEmpty else { return }
    var index = 0
    // Neighbouring unknown characters are one unknown.
    var unknownStart: Int?
    for (end, id) in lattice.bestCut(word) {
      if id < 0 || id == unknown {
        guard unknown != nil else { throw Failure.notEncodable("it has no unknown token") }
        unknownStart = unknownStart ?? index
      } else {
        if let start = unknownStart { appendUnknown(word[start..<index], into: &ids) }
        unknownStart = nil
        ids.append(id)
      }
      index = end
    }
    if let start = unknownStart { appendUnknown(word[start...], into: &ids) }
  }

  private func appendUnknown(_ text: ArraySlice<UInt8>, into ids: inout [Int32]) {
    if let id = lattice.trie.id(of: text) {
      ids.append(id)
    } else if let byteIDs, text.allSatisfy({ byteIDs[Int($0)] >= 0 }) {
      ids += text.map { byteIDs[Int($0)] }
    } else if let unknown {
      ids.append(unknown)
    }
  }
}

/// The ids of the pieces `<0x00>` to `<0xFF>`, with -1 for those that are absent.
func bytePieceIDs(_ id: ([UInt8]) -> Int32?) -> [Int32] {
  (0..<256).map { byte in
    let digits = String(byte + 0x100, radix: 16, uppercase: true).dropFirst()
    return id(Array("<0x\(digits)>".utf8)) ?? -1
  }
}
