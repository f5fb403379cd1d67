internal import Base

/// What a model's configuration asks of its text.
public struct TextOptions: Sendable, Equatable {
  /// Eight spaces in front of texts of fewer than five words.
  public var padShort: Bool
  /// Semicolons become commas.
  public var removeSemicolons: Bool
  /// A text without final punctuation gets a period.
  public var appendPunctuation: Bool
  /// The first letter becomes upper-case.
  public var capitalize: Bool
  /// What replaces single characters; an empty replacement deletes.
  public var replaceCharacters: [Unicode.Scalar: String]

  /// Options; the defaults are those of the official configuration schema.
  public init(
    padShort: Bool = false, removeSemicolons: Bool = false, appendPunctuation: Bool = true,
    capitalize: Bool = true, replaceCharacters: [Unicode.Scalar: String] = [:]
  ) {
    self.padShort = padShort
    self.removeSemicolons = removeSemicolons
    self.appendPunctuation = appendPunctuation
    self.capitalize = capitalize
    self.replaceCharacters = replaceCharacters
  }

  /// A replacement table from a configuration, where the keys are strings of one character.
  ///
  /// - Throws: `configuration` when a key is not one code point.
  public static func replacements(_ map: [String: String]) throws -> [Unicode.Scalar: String] {
    var table: [Unicode.Scalar: String] = [:]
    for (key, value) in map {
      guard let scalar = key.unicodeScalars.first, key.unicodeScalars.count == 1 else {
        throw Failure.replacementKey(key)
      }
      table[scalar] = value
    }
    return table
  }
}

/// Prepares one text for a model, as the official package does before it splits, and again before it
/// speaks a chunk.
///
/// - Returns: the text, and the official guess of how many frames to generate after the end of
///   speech (to which the generator adds two).
/// - Throws: `badInput` when nothing is left of the text.
public func prepareText(
  _ text: String, options: TextOptions
) throws -> (text: String, frameGuess: Int) {
  var prepared = text.stripped
  if !options.replaceCharacters.isEmpty {
    prepared = withoutCommasAfterMarks(
      collapsingSpace(replacing(prepared, options.replaceCharacters)))
  }
  guard !prepared.isEmpty else { throw Failure.emptyText() }
  prepared = halvingSpaces(prepared)
  if options.removeSemicolons {
    prepared = prepared.unicodeScalars.map { $0 == ";" ? "," : $0 }.text
  }
  let frameGuess = prepared.wordCount <= 4 ? 3 : 1
  if options.capitalize { prepared = capitalized(prepared) }
  if options.appendPunctuation { prepared = punctuated(prepared) }
  if options.padShort, prepared.wordCount < 5 {
    prepared = String(repeating: " ", count: 8) + prepared
  }
  return (prepared, frameGuess)
}

private func replacing(_ text: String, _ table: [Unicode.Scalar: String]) -> String {
  var result = String.UnicodeScalarView()
  for scalar in text.unicodeScalars {
    if let replacement = table[scalar] {
      result.append(contentsOf: replacement.unicodeScalars)
    } else {
      result.append(scalar)
    }
  }
  return String(result)
}

private func collapsingSpace(_ text: String) -> String {
  text.unicodeScalars.split(whereSeparator: \.isSpace).joined(separator: " ".unicodeScalars).text
}

/// A comma, semicolon or colon after a sentence mark goes: what is left of `"Hi?", she` once the
/// quotes are deleted would read as an end and a stray comma.
private func withoutCommasAfterMarks(_ text: String) -> String {
  let scalars = Array(text.unicodeScalars)
  var result = String.UnicodeScalarView()
  var index = 0
  while index < scalars.count {
    let scalar = scalars[index]
    result.append(scalar)
    index += 1
    guard isSentenceMark(scalar) else { continue }
    var next = index
    while next < scalars.count, scalars[next].isSpace { next += 1 }
    if next < scalars.count, [",", ";", ":"].contains(scalars[next]) { index = next + 1 }
  }
  return String(result)
}

/// Line ends become spaces; then one pass makes one space of two (so four become two).
private func halvingSpaces(_ text: String) -> String {
  var result = String.UnicodeScalarView()
  var afterSpace = false
  for scalar in text.unicodeScalars {
    let space = scalar == " " || scalar == "\n" || scalar == "\r"
    if space && afterSpace {
      afterSpace = false
    } else {
      result.append(space ? " " : scalar)
      afterSpace = space
    }
  }
  return String(result)
}

private func capitalized(_ text: String) -> String {
  guard let first = text.unicodeScalars.first, !first.properties.isUppercase else { return text }
  return first.properties.uppercaseMapping + text.unicodeScalars.dropFirst().text
}

func isSentenceMark(_ scalar: Unicode.Scalar) -> Bool {
  scalar == "." || scalar == "!" || scalar == "?" || scalar == "\u{2026}"
}

private func isWeakMark(_ scalar: Unicode.Scalar) -> Bool {
  [",", ";", ":", "-", "\u{2013}", "\u{2014}"].contains(scalar)
}

func isCloser(_ scalar: Unicode.Scalar) -> Bool {
  ["\"", "'", "\u{201D}", "\u{2019}", ")", "]", "\u{BB}"].contains(scalar)
}

/// The text with a final period where it has no final mark, so that the model does not swallow or
/// repeat its last word. A weak mark at the end gives way to the period.
private func punctuated(_ text: String) -> String {
  let scalars = text.unicodeScalars[...]
  let core = scalars.strippedAtEnd { isCloser($0) || $0 == " " }
  guard let last = core.last, !isSentenceMark(last) else { return text }
  guard isWeakMark(last) else { return text + "." }
  let closers = scalars[core.endIndex...].stripped(\.isSpace).text
  return core.strippedAtEnd { isWeakMark($0) || $0 == " " }.text + "." + closers
}
