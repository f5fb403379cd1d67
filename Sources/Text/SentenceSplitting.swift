/// A piece of the text and its number of tokens.
struct Segment {
  var size: Int
  var text: String
}

/// Tokens cut after runs of marks.
struct Segmentation {
  let tokens: [Int32]
  let marks: Set<Int32>
  let tokenizer: any Tokenizer
  /// Whether a period between digits is no boundary.
  let joinsDecimals: Bool

  func segments() throws -> [Segment] {
    var segments: [Segment] = []
    var start = 0
    var afterMark = false
    for (index, token) in tokens.enumerated() {
      if marks.contains(token) {
        afterMark = true
        continue
      }
      if afterMark, try !joinsDecimals || !isDecimalPeriod(before: index) {
        segments.append(try segment(start..<index))
        start = index
      }
      afterMark = false
    }
    segments.append(try segment(start..<tokens.count))
    return segments
  }

  private func segment(_ range: Range<Int>) throws -> Segment {
    Segment(size: range.count, text: try tokenizer.decode(Array(tokens[range])))
  }

  /// Whether the text before a token ends in a digit and a period, and the text from it on begins
  /// with a digit.
  private func isDecimalPeriod(before index: Int) throws -> Bool {
    let ending = try decoded(max(0, index - Self.window)..<index, all: 0..<index)
    let end = Array(ending.unicodeScalars.suffix(2))
    guard end.count == 2, end[0].isDigit, end[1] == "." else { return false }
    let beginning = try decoded(
      index..<min(tokens.count, index + Self.window), all: index..<tokens.count)
    return beginning.unicodeScalars.first?.isDigit ?? false
  }

  private static let window = 32

  /// The text of the tokens near a boundary. Decoding all tokens at each boundary would take time
  /// in the square of the text's length; a window says the same unless it cuts a character into its
  /// bytes, which shows.
  private func decoded(_ window: Range<Int>, all: Range<Int>) throws -> String {
    let text = try tokenizer.decode(Array(tokens[window]))
    guard window != all, text.unicodeScalars.contains("\u{FFFD}") || text.unicodeScalars.count < 3
    else { return text }
    return try tokenizer.decode(Array(tokens[all]))
  }
}
