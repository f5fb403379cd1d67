// The official text code is Python, whose strings are sequences of code points with its own idea of
// white space. Swift's `Character` would see other boundaries.

extension Unicode.Scalar {
  /// White space as `str.isspace`, `str.split` and `\s` take it: Unicode's, and U+001C to U+001F.
  var isSpace: Bool {
    if value < 0x80 { return (9...13).contains(value) || (0x1C...0x20).contains(value) }
    return properties.isWhitespace
  }

  /// `str.isdigit`: decimal digits of every script, and digits such as superscripts.
  var isDigit: Bool {
    if value < 0x80 { return (48...57).contains(value) }
    return properties.numericType == .decimal || properties.numericType == .digit
  }
}

extension Sequence where Element == Unicode.Scalar {
  /// The text of these scalars.
  var text: String {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: self)
    return String(view)
  }
}

extension BidirectionalCollection where Element == Unicode.Scalar, Self.SubSequence == Self {
  /// Without the scalars at both ends that satisfy the condition.
  func stripped(_ condition: (Unicode.Scalar) -> Bool) -> Self {
    strippedAtEnd(condition).drop(while: condition)
  }

  /// Without the scalars at the end that satisfy the condition.
  func strippedAtEnd(_ condition: (Unicode.Scalar) -> Bool) -> Self {
    var rest = self
    while let last = rest.last, condition(last) { rest = rest.dropLast() }
    return rest
  }
}

extension String {
  /// Without white space at both ends (`str.strip`).
  var stripped: String { unicodeScalars[...].stripped(\.isSpace).text }

  /// The number of words between white space (`len(str.split())`).
  var wordCount: Int {
    unicodeScalars.split(whereSeparator: \.isSpace).count
  }
}
