/// How a `tokenizer.json` cuts a normalised text into words, before its model sees them.
indirect enum PreTokenizer: Sendable {
  case sequence([PreTokenizer])
  case metaspace(Metaspace)
  case whitespaceSplit

  /// A piece of text, and whether it is where the input begins.
  struct Piece {
    var text: String
    var isFirst: Bool
  }

  func pieces(of piece: Piece) -> [Piece] {
    switch self {
    case .sequence(let steps):
      steps.reduce([piece]) { pieces, step in pieces.flatMap { step.pieces(of: $0) } }
    case .metaspace(let metaspace): metaspace.pieces(of: piece)
    case .whitespaceSplit:
      piece.text.unicodeScalars.split(whereSeparator: \.properties.isWhitespace).enumerated().map {
        Piece(text: $1.text, isFirst: piece.isFirst && $1.startIndex == piece.text.startIndex)
      }
    }
  }
}

/// The mark that stands for a space and begins a word (`▁`).
struct Metaspace: Sendable {
  enum Prepending: String, Sendable {
    case always, first, never
  }

  var mark: Unicode.Scalar
  var prepending: Prepending
  var split: Bool

  func pieces(of piece: PreTokenizer.Piece) -> [PreTokenizer.Piece] {
    var scalars = piece.text.unicodeScalars.map { $0 == " " ? mark : $0 }
    let prepends = prepending == .always || (prepending == .first && piece.isFirst)
    if prepends, scalars.first != mark { scalars.insert(mark, at: 0) }
    guard split else { return [PreTokenizer.Piece(text: scalars.text, isFirst: piece.isFirst)] }
    var pieces: [PreTokenizer.Piece] = []
    var start = 0
    for index in scalars.indices.dropFirst() where scalars[index] == mark {
      pieces.append(.init(text: scalars[start..<index].text, isFirst: piece.isFirst && start == 0))
      start = index
    }
    pieces.append(.init(text: scalars[start...].text, isFirst: piece.isFirst && start == 0))
    return pieces
  }
}
