/// Encodes with the Unigram model of a `.model` file.
///
/// The library could do this too, but its versions resolve ties differently: Debian's compares sums
/// in 64 bits with sums rounded to 32, newer ones (as the official package uses) round all.
struct SentencePieceUnigram: Sendable {
  private static let space = Array("\u{2581}".utf8)

  private let normalizer: SentencePieceModel.NormalizerOptions
  private let lattice: PieceLattice<Float>
  private let unknown: Int32
  private let byteIDs: [Int32]?

  /// Nil for models that only the library encodes: of another type, with pieces that are kept whole,
  /// or with the space at the end of words.
  init?(_ model: SentencePieceModel) {
    guard model.modelType == 1, !model.spaceIsSuffix,
      let unknown = model.pieces.firstIndex(where: { $0.type == .unknown }),
      !model.pieces.contains(where: { $0.type == .userDefined })
    else { return nil }
    self.unknown = Int32(unknown)
    normalizer = model.normalizer
    let normal = model.pieces.enumerated().filter { $1.type == .normal }
    guard let lowest = normal.map(\.element.score).min() else { return nil }
    lattice = PieceLattice(
      trie: PieceTrie(normal.map { ($1.bytes, Int32($0)) }), scores: model.pieces.map(\.score),
      lowest: lowest)
    let bytes = PieceTrie(
      model.pieces.enumerated().filter { $1.type == .byte }.map { ($1.bytes, Int32($0)) })
    let byteIDs = bytePieceIDs { bytes.id(of: $0) }
    self.byteIDs = model.byteFallback && !byteIDs.contains(-1) ? byteIDs : nil
  }

  func encode(_ text: String) -> [Int32] {
    let normalized = normalized(Array(text.utf8))
    var ids: [Int32] = []
    var start = 0
    var afterUnknown = false
    for (end, id) in lattice.bestCut(normalized) {
      if id >= 0 {
        ids.append(id)
      } else if let byteIDs {
        ids += normalized[start..<end].map { byteIDs[Int($0)] }
      } else if !afterUnknown {
        ids.append(unknown)
      }
      afterUnknown = id < 0
      start = end
    }
    return ids
  }

  /// The text with its characters mapped and its spaces marked.
  private func normalized(_ text: [UInt8]) -> [UInt8] {
    let space = normalizer.escapesSpace ? Self.space : [32]
    let trims = normalizer.removesExtraSpace
    var result: [UInt8] = []
    result.reserveCapacity(text.count + text.count / 2 + 3)
    var index = 0
    var begun = false
    var afterSpace = trims
    while index < text.count {
      var (piece, length) = prefix(of: text[index...])
      index += length
      if !begun {
        if trims, piece.elementsEqual([32]) { continue }
        begun = true
        if normalizer.addsPrefix { result += space }
      }
      if afterSpace { piece = piece.drop { $0 == 32 } }
      for byte in piece {
        if byte == 32 { result += space } else { result.append(byte) }
      }
      if let last = piece.last { afterSpace = trims && last == 32 }
    }
    if trims {
      while result.count >= space.count, result.suffix(space.count).elementsEqual(space) {
        result.removeLast(space.count)
      }
    }
    return result
  }

  /// What the beginning of a text becomes, and how many bytes it is.
  private func prefix(of text: ArraySlice<UInt8>) -> (ArraySlice<UInt8>, Int) {
    if let found = normalizer.characterMap?.longest(in: text) { return found }
    let length = 1 + text.dropFirst().prefix { $0 & 0xC0 == 0x80 }.count
    return (text.prefix(length), length)
  }
}
