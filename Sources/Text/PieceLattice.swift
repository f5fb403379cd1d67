/// All cuts of a text into pieces, of which the most probable is sought (Viterbi).
///
/// Parametric in the type in which scores are summed: SentencePiece sums in 32 bits, `tokenizers` in
/// 64, and the same text may be cut differently where scores tie.
struct PieceLattice<Score: BinaryFloatingPoint & Sendable>: Sendable {
  /// What an unknown character costs below the lowest score.
  private static var unknownPenalty: Score { 10 }

  /// The pieces that take part.
  let trie: PieceTrie
  private let scores: [Score]
  private let unknownScore: Score

  /// - Parameters:
  ///   - scores: by id.
  ///   - lowest: the lowest score, below which unknown characters lie.
  init(trie: PieceTrie, scores: [Score], lowest: Score) {
    self.trie = trie
    self.scores = scores
    unknownScore = lowest - Self.unknownPenalty
  }

  private struct Node {
    var score: Score = 0
    var start: Int32 = -1
    var id: Int32 = 0

    @inline(__always)
    mutating func offer(_ candidate: Score, _ start: Int, _ id: Int32) {
      if self.start < 0 || candidate > score {
        self = Self(score: candidate, start: Int32(truncatingIfNeeded: start), id: id)
      }
    }
  }

  /// The pieces of the best cut of a UTF-8 text, each with its end; -1 is an unknown character.
  ///
  /// Of cuts that score the same, the one whose last piece begins earliest wins.
  func bestCut(_ text: [UInt8]) -> [(end: Int, id: Int32)] {
    var best = [Node](repeating: Node(), count: text.count + 1)
    text.withUnsafeBufferPointer { bytes in
      best.withUnsafeMutableBufferPointer { best in
        var start = 0
        while start < bytes.count {
          let length = min(scalarLength(bytes[start]), bytes.count - start)
          let score = best[start].score
          var single = false
          trie.forEachPiece(in: bytes, from: start) { pieceLength, id in
            best[start + pieceLength].offer(score + scores[Int(id)], start, id)
            single = single || pieceLength == length
          }
          if !single { best[start + length].offer(score + unknownScore, start, -1) }
          start += length
        }
      }
    }
    var cut: [(end: Int, id: Int32)] = []
    var end = text.count
    while end > 0 {
      cut.append((end, best[end].id))
      end = Int(best[end].start)
    }
    return cut.reversed()
  }
}

/// The number of bytes of the UTF-8 sequence that a byte begins.
private func scalarLength(_ first: UInt8) -> Int {
  first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
}
