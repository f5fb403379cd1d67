/// Cuts a text that arrives in pieces into stretches that can be split one by one with the result
/// that the whole text would give, and prepares and tokenizes them.
///
/// A stretch ends where a sentence mark is followed by one or two blanks and a letter and where the
/// mark is a token of its own: there the official package cuts too, and no rule of the preparation
/// looks across.
struct StretchReader {
  private let tokenizer: any Tokenizer
  private let options: TextOptions
  private let marks: Set<Int32>
  private let shortest: Int
  private let longest = 1 << 14

  private var piece = String.UnicodeScalarView().makeIterator()
  private var stretch: [Unicode.Scalar] = []
  /// The length at which the next boundary is looked for.
  private var nextTry: Int
  /// What stands before the place that was reached: marks, then closing quotes, then blanks.
  private var afterMark = false
  private var blanks = 0
  /// Where the blanks before the place begin.
  private var end = 0
  private var isFirst = true
  private var isOver = false

  /// - Parameters:
  ///   - marks: tokens that end sentences.
  ///   - shortest: characters before the first boundary is looked for.
  init(tokenizer: any Tokenizer, options: TextOptions, marks: Set<Int32>, shortest: Int) {
    self.tokenizer = tokenizer
    self.options = options
    self.marks = marks
    self.shortest = shortest
    nextTry = shortest
  }

  /// The tokens of the next stretch; nil after the last.
  mutating func next(_ nextText: () throws -> String?) throws -> [Int32]? {
    while !isOver {
      guard let scalar = try nextScalar(nextText) else {
        isOver = true
        return try tokens(of: stretch, isLast: true)
      }
      if stretch.count >= nextTry, let tokens = try boundary(before: scalar) {
        begin(with: scalar)
        if !tokens.isEmpty { return tokens }
      } else {
        append(scalar)
      }
    }
    return nil
  }

  private mutating func nextScalar(_ nextText: () throws -> String?) throws -> Unicode.Scalar? {
    while true {
      if let scalar = piece.next() { return scalar }
      guard let text = try nextText() else { return nil }
      piece = text.unicodeScalars.makeIterator()
    }
  }

  private mutating func append(_ scalar: Unicode.Scalar) {
    if scalar.isSpace {
      if blanks == 0 { end = stretch.count }
      blanks = scalar == " " || scalar == "\n" || scalar == "\r" ? blanks + 1 : 3
    } else {
      if blanks > 0 { afterMark = false }
      blanks = 0
      if isSentenceMark(scalar) {
        afterMark = true
      } else if !isCloser(scalar) {
        afterMark = false
      }
    }
    stretch.append(scalar)
  }

  private mutating func begin(with scalar: Unicode.Scalar) {
    stretch.removeAll(keepingCapacity: true)
    (blanks, afterMark, nextTry) = (0, false, shortest)
    append(scalar)
  }

  /// The tokens of the stretch when it ends before this character; nil when it does not.
  private mutating func boundary(before scalar: Unicode.Scalar) throws -> [Int32]? {
    // Beyond the longest a blank is enough, and beyond twice that nothing is needed.
    if stretch.count >= longest, blanks > 0, !scalar.isSpace {
      return try tokens(of: stretch[..<end], isLast: false)
    }
    if stretch.count >= 2 * longest { return try tokens(of: stretch, isLast: false) }
    guard afterMark, blanks == 1 || blanks == 2, scalar.properties.isAlphabetic,
      options.replaceCharacters[scalar] == nil
    else { return nil }
    let wasFirst = isFirst
    if let tokens = try tokens(of: stretch[..<end], isLast: false), let last = tokens.last,
      marks.contains(last)
    {
      return tokens
    }
    // Tried again at twice the length, so that the time for all tries is a multiple of the text.
    isFirst = wasFirst
    nextTry = 2 * stretch.count
    return nil
  }

  /// The tokens of prepared text; empty or nil when nothing is left of it.
  private mutating func tokens(
    of text: some Collection<Unicode.Scalar>, isLast: Bool
  ) throws -> [Int32]? {
    var options = options
    // The first letter and the end of the whole text are meant.
    if !isFirst { options.capitalize = false }
    if !isLast { options.appendPunctuation = false }
    guard let prepared = try? prepareText(text.text, options: options).text.stripped else {
      return isLast ? nil : []
    }
    isFirst = false
    return try tokenizer.encode(prepared)
  }
}
