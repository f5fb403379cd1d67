import Base

/// A chunk of text that a model speaks in one go.
public struct TextChunk: Sendable, Equatable {
  /// The text, which must be prepared once more before it is spoken.
  public var text: String
  /// Its tokens.
  public var size: Int
}

/// Splits a text into chunks that a model speaks one after the other, as the official package does:
/// at sentence marks, sentences that are too long at clause marks too, then joined greedily.
///
/// The text may arrive in pieces, of any size and cut anywhere: a chunk comes out as soon as it is
/// certain, and neither memory nor the time for a chunk grows with the text. The text is looked at a
/// stretch at a time, and a stretch ends only where the official package, which looks at all of it
/// at once, would cut too; beyond 16,384 characters without such a place it ends at a blank.
public struct SentenceSplitter {
  private let tokenizer: any Tokenizer
  private let maxTokens: Int
  private let sentenceMarks: Set<Int32>
  private let clauseMarks: Set<Int32>
  private var stretches: StretchReader
  /// The chunk that is being filled.
  private var open = Segment(size: 0, text: "")
  /// Chunks that are certain, the next one first.
  private var ready: ArraySlice<TextChunk> = []
  private var isOver = false
  private var isEmpty = true

  /// A sentence without any mark is not cut by the official package, however long it is. Beyond so
  /// many tokens, where a model would only take memory, it is cut at blanks.
  static let longestSentence = 1000

  /// A splitter for one text.
  ///
  /// - Parameters:
  ///   - tokenizer: the model's; which tokens are marks depends on its vocabulary.
  ///   - options: the model's; the text is prepared before it is split.
  ///   - maxTokens: the most tokens of a chunk; only a part of a sentence that has no clause mark
  ///     makes a larger one.
  public init(tokenizer: any Tokenizer, options: TextOptions, maxTokens: Int = 50) throws {
    try self.init(tokenizer: tokenizer, options: options, maxTokens: maxTokens, shortest: 256)
  }

  /// - Parameter shortest: characters before the first boundary is looked for.
  init(
    tokenizer: any Tokenizer, options: TextOptions, maxTokens: Int, shortest: Int
  ) throws {
    self.tokenizer = tokenizer
    self.maxTokens = maxTokens
    sentenceMarks = try marks(".!...?", tokenizer)
    clauseMarks = try marks(",;:", tokenizer)
    stretches = StretchReader(
      tokenizer: tokenizer, options: options, marks: sentenceMarks, shortest: shortest)
  }

  /// The next chunk; nil after the last.
  ///
  /// - Parameter nextText: gives the next piece of the text; nil when there is no more, after which
  ///   it is not called again.
  /// - Throws: `badInput` when nothing is left of the whole text; what `nextText` throws.
  public mutating func next(_ nextText: () throws -> String?) throws -> TextChunk? {
    while ready.isEmpty, !isOver {
      if let tokens = try stretches.next(nextText) {
        isEmpty = false
        for segment in try segments(tokens) { try add(segment) }
      } else {
        isOver = true
        try close()
        guard !isEmpty else { throw Failure.emptyText() }
      }
    }
    return ready.popFirst()
  }

  /// The sentences of a stretch, those that are too long in clauses.
  private func segments(_ tokens: [Int32]) throws -> [Segment] {
    let sentences = try Segmentation(
      tokens: tokens, marks: sentenceMarks, tokenizer: tokenizer, joinsDecimals: true
    ).segments()
    return try sentences.flatMap { sentence -> [Segment] in
      guard sentence.size > maxTokens else { return [sentence] }
      let clauses = try Segmentation(
        tokens: tokenizer.encode(sentence.text.stripped), marks: clauseMarks, tokenizer: tokenizer,
        joinsDecimals: false
      ).segments()
      return try (clauses.count > 1 ? clauses : [sentence]).flatMap { segment in
        segment.size > max(maxTokens, Self.longestSentence) ? try cut(segment) : [segment]
      }
    }
  }

  /// Pieces of a segment that has no marks: a character is at most four tokens.
  private func cut(_ segment: Segment) throws -> [Segment] {
    var rest = segment.text.unicodeScalars[...]
    var pieces: [Segment] = []
    while !rest.isEmpty {
      var piece = rest.prefix(Self.longestSentence / 4)
      if piece.endIndex < rest.endIndex, let blank = piece.lastIndex(where: \.isSpace),
        blank > piece.startIndex
      {
        piece = piece[..<blank]
      }
      rest = rest[piece.endIndex...].drop(while: \.isSpace)
      pieces.append(Segment(size: try tokenizer.encode(piece.text).count, text: piece.text))
    }
    return pieces
  }

  /// Fills chunks in order. A space goes between segments whether or not the text had one, and sizes
  /// are those of the segments, not of the chunk: both as in the official package.
  private mutating func add(_ segment: Segment) throws {
    if open.text.isEmpty {
      open = segment
    } else if open.size + segment.size > maxTokens {
      try close()
      open = segment
    } else {
      open.size += segment.size
      open.text += " " + segment.text
    }
  }

  private mutating func close() throws {
    guard !open.text.isEmpty else { return }
    let text = open.text.stripped
    open = Segment(size: 0, text: "")
    ready.append(TextChunk(text: text, size: try tokenizer.encode(text).count))
  }
}

/// All chunks of a text that is there as a whole.
///
/// - Throws: `badInput` when nothing is left of the text.
public func splitSentences(
  _ text: String, tokenizer: any Tokenizer, options: TextOptions, maxTokens: Int = 50
) throws -> [String] {
  var splitter = try SentenceSplitter(
    tokenizer: tokenizer, options: options, maxTokens: maxTokens)
  var rest: String? = text
  var chunks: [String] = []
  while let chunk = try splitter.next({
    defer { rest = nil }
    return rest
  }) {
    chunks.append(chunk.text)
  }
  return chunks
}

/// The tokens of a text of marks, without the one that begins a word.
private func marks(_ text: String, _ tokenizer: any Tokenizer) throws -> Set<Int32> {
  Set(try tokenizer.encode(text).dropFirst())
}
