/// What it takes to make one sequence of another: the edits of Levenshtein's distance.
public struct EditCount: Sendable, Equatable {
  /// Elements that stand for others.
  public var substitutions = 0
  /// Elements that are missing.
  public var deletions = 0
  /// Elements too many.
  public var insertions = 0
  /// Elements of what is right.
  public var length = 0

  /// Nothing compared.
  public init() {}

  /// The fewest edits that make `actual` of `expected`. Of equally few, substitutions are preferred, then
  /// deletions.
  public init<Element: Equatable>(_ actual: [Element], expected: [Element]) {
    length = expected.count
    // Edits of each prefix of `actual` against the prefix of `expected` that is being worked on.
    var row = (0...actual.count).map { count in
      var edits = EditCount()
      edits.insertions = count
      return edits
    }
    for element in expected {
      var corner = row[0]
      row[0].deletions += 1
      for (index, other) in actual.enumerated() {
        var best = corner
        if element != other { best.substitutions += 1 }
        var deleted = row[index + 1]
        deleted.deletions += 1
        if deleted.edits < best.edits { best = deleted }
        var inserted = row[index]
        inserted.insertions += 1
        if inserted.edits < best.edits { best = inserted }
        corner = row[index + 1]
        row[index + 1] = best
      }
    }
    var total = row[actual.count]
    total.length = length
    self = total
  }

  /// All edits.
  public var edits: Int { substitutions + deletions + insertions }

  /// Edits for each element of what is right; nil where there is none.
  public var rate: Double? { length > 0 ? Double(edits) / Double(length) : nil }

  /// The sum of two.
  public static func + (left: Self, right: Self) -> Self {
    var sum = left
    sum.substitutions += right.substitutions
    sum.deletions += right.deletions
    sum.insertions += right.insertions
    sum.length += right.length
    return sum
  }
}

/// The words of a text as error rates compare them: in lower case, apostrophes left out, every other
/// character that is no letter, mark or number a blank. Numbers are not spelled out.
public func comparableWords(_ text: String) -> [String] {
  var words: [String] = []
  var word = String.UnicodeScalarView()
  func close() {
    if !word.isEmpty { words.append(String(word)) }
    word = String.UnicodeScalarView()
  }
  for scalar in text.lowercased().unicodeScalars
  where !["'", "\u{2019}", "\u{2018}", "\u{2BC}"].contains(scalar) {
    switch scalar.properties.generalCategory {
    case .lowercaseLetter, .uppercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter,
      .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .letterNumber, .otherNumber:
      word.append(scalar)
    default: close()
    }
  }
  close()
  return words
}
