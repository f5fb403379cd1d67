/// Splits a text into chunks that a model speaks one after the other, as the official package does:
/// at sentence marks, sentences that are too long at clause marks too, then joined greedily.
///
/// - Parameters:
///   - text: the whole text.
///   - tokenizer: the model's; which tokens are marks depends on its vocabulary.
///   - options: the model's; the text is prepared before it is split.
///   - maxTokens: the most tokens of a chunk.
///   - oversized: called with the size and text of each chunk that is larger all the same, where
///     speech may skip words.
/// - Returns: chunks, which must be prepared once more before they are spoken.
/// - Throws: `badInput` when nothing is left of the text.
public func splitSentences(
  _ text: String, tokenizer: any Tokenizer, options: TextOptions, maxTokens: Int = 50,
  oversized: (Int, String) -> Void = { _, _ in }
) throws -> [String] {
  let prepared = try prepareText(text, options: options).text.stripped
  let sentences = try Segmentation(
    tokens: tokenizer.encode(prepared), marks: marks(".!...?", tokenizer), tokenizer: tokenizer,
    joinsDecimals: true
  ).segments()

  var segments: [Segment] = []
  let clauseMarks = try marks(",;:", tokenizer)
  for sentence in sentences {
    guard sentence.size > maxTokens else {
      segments.append(sentence)
      continue
    }
    let clauses = try Segmentation(
      tokens: tokenizer.encode(sentence.text.stripped), marks: clauseMarks, tokenizer: tokenizer,
      joinsDecimals: false
    ).segments()
    segments += clauses.count > 1 ? clauses : [sentence]
  }

  let chunks = joined(segments, maxTokens: maxTokens)
  for chunk in chunks {
    let size = try tokenizer.encode(chunk).count
    if size > maxTokens { oversized(size, chunk) }
  }
  return chunks
}

/// A piece of the text and its number of tokens.
private struct Segment {
  var size: Int
  var text: String
}

/// The tokens of a text of marks, without the one that begins a word.
private func marks(_ text: String, _ tokenizer: any Tokenizer) throws -> Set<Int32> {
  Set(try tokenizer.encode(text).dropFirst())
}

/// Fills chunks in order. A space goes between segments whether or not the text had one, and sizes
/// are those of the segments, not of the chunk: both as in the official package.
private func joined(_ segments: [Segment], maxTokens: Int) -> [String] {
  var chunks: [String] = []
  var chunk = Segment(size: 0, text: "")
  for segment in segments {
    if chunk.text.isEmpty {
      chunk = segment
    } else if chunk.size + segment.size > maxTokens {
      chunks.append(chunk.text.stripped)
      chunk = segment
    } else {
      chunk.size += segment.size
      chunk.text += " " + segment.text
    }
  }
  if !chunk.text.isEmpty { chunks.append(chunk.text.stripped) }
  return chunks
}

/// Tokens cut after runs of marks.
private struct Segmentation {
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
