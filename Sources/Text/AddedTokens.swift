/// The tokens that a `tokenizer.json` finds in a text as they stand, before its model cuts the rest.
struct AddedTokens: Sendable {
  struct Token: Sendable {
    var id: Int32
    var content: String
    /// Matches only where it does not touch other word characters.
    var singleWord = false
    /// Takes the white space before or after it along.
    var stripsLeft = false
    var stripsRight = false
    /// Sought in the normalised text.
    var normalized = false
    /// Left out when decoding.
    var special = false
  }

  /// A piece of text, or a token that was found.
  enum Segment {
    case text(ArraySlice<UInt8>)
    case token(Int32)
  }

  private let tokens: [(token: Token, bytes: [UInt8])]
  /// The tokens by first byte, longest first.
  private let byFirst: [[Int]]

  /// - Parameter pattern: what to look for, which for normalised tokens is their normalised content.
  init(_ tokens: [Token], pattern: (String) -> String = { $0 }) {
    let patterns = tokens.map { (token: $0, bytes: Array(pattern($0.content).utf8)) }
    self.tokens = patterns
    var byFirst = [[Int]](repeating: [], count: 256)
    for (index, pattern) in patterns.enumerated() {
      if let first = pattern.bytes.first { byFirst[Int(first)].append(index) }
    }
    self.byFirst = byFirst.map { $0.sorted { patterns[$0].bytes.count > patterns[$1].bytes.count } }
  }

  /// The text cut at the tokens: at each place the longest counts.
  func segments(of text: [UInt8]) -> [Segment] {
    guard !tokens.isEmpty else { return text.isEmpty ? [] : [.text(text[...])] }
    var segments: [Segment] = []
    var taken = 0
    var index = 0
    while index < text.count {
      let found = byFirst[Int(text[index])].first { text[index...].starts(with: tokens[$0].bytes) }
      guard let found else {
        index += 1
        continue
      }
      let token = tokens[found].token
      var start = index
      var end = index + tokens[found].bytes.count
      index = end
      if token.singleWord,
        isWord(scalars(text[..<start].suffix(4)).last) || isWord(scalars(text[end...]).first)
      {
        continue
      }
      if token.stripsLeft {
        let kept = scalars(text[taken..<max(taken, start)])
          .strippedAtEnd(\.properties.isWhitespace)
        start = taken + kept.text.utf8.count
      }
      if token.stripsRight {
        end =
          text.count - scalars(text[end...]).drop(while: \.properties.isWhitespace).text.utf8.count
      }
      if taken < start { segments.append(.text(text[taken..<start])) }
      segments.append(.token(token.id))
      taken = end
    }
    if taken < text.count { segments.append(.text(text[taken...])) }
    return segments
  }

  private func scalars(_ bytes: ArraySlice<UInt8>) -> Substring.UnicodeScalarView {
    String(decoding: bytes, as: UTF8.self).unicodeScalars[...]
  }

  /// A character of words, as `\w` takes it.
  private func isWord(_ scalar: Unicode.Scalar?) -> Bool {
    guard let scalar else { return false }
    let properties = scalar.properties
    if properties.isAlphabetic || properties.isJoinControl { return true }
    switch properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation:
      return true
    default: return false
    }
  }
}
