internal import Base
internal import Foundation

/// What a `tokenizer.json` does to a text before cutting it.
indirect enum TextNormalizer: Sendable {
  case sequence([TextNormalizer])
  case prepend(String)
  case replace(TextPattern, String)
  case strip(left: Bool, right: Bool)
  case lowercase
  case withoutAccents
  case characterMap(CharacterMap)
  case unicode(UnicodeForm)

  enum UnicodeForm: String, Sendable {
    case composed = "NFC"
    case decomposed = "NFD"
    case compatibilityComposed = "NFKC"
    case compatibilityDecomposed = "NFKD"
  }

  func normalized(_ text: String) -> String {
    switch self {
    case .sequence(let steps): return steps.reduce(text) { $1.normalized($0) }
    case .prepend(let start): return text.isEmpty ? text : start + text
    case .replace(let pattern, let replacement):
      return pattern.replacing(in: text, with: replacement)
    case .strip(let left, let right):
      var rest = text.unicodeScalars[...]
      if left { rest = rest.drop(while: \.properties.isWhitespace) }
      if right { rest = rest.strippedAtEnd(\.properties.isWhitespace) }
      return rest.text
    case .lowercase: return text.unicodeScalars.map(\.properties.lowercaseMapping).joined()
    case .withoutAccents:
      return text.unicodeScalars.filter { scalar in
        ![.nonspacingMark, .spacingMark, .enclosingMark].contains(scalar.properties.generalCategory)
      }.text
    case .characterMap(let map): return map.normalized(text)
    case .unicode(.composed): return text.precomposedStringWithCanonicalMapping
    case .unicode(.decomposed): return text.decomposedStringWithCanonicalMapping
    case .unicode(.compatibilityComposed): return text.precomposedStringWithCompatibilityMapping
    case .unicode(.compatibilityDecomposed): return text.decomposedStringWithCompatibilityMapping
    }
  }
}

extension CharacterMap {
  /// The text with its characters replaced, as the `tokenizers` package does it: a short grapheme as a
  /// whole where the map has a prefix of it, else scalar by scalar.
  func normalized(_ text: String) -> String {
    var result = String.UnicodeScalarView()
    for character in text {
      let bytes = character.utf8
      if bytes.count < 6, let replacement = shortest(in: bytes) {
        result.append(contentsOf: String(decoding: replacement, as: UTF8.self).unicodeScalars)
        continue
      }
      for scalar in character.unicodeScalars {
        if let replacement = shortest(in: UTF8.encode(scalar) ?? .init()) {
          result.append(contentsOf: String(decoding: replacement, as: UTF8.self).unicodeScalars)
        } else {
          result.append(scalar)
        }
      }
    }
    return String(result)
  }
}

/// What a `Replace` looks for: a text, or at least so many of one character (the regular expressions
/// that converters write, such as ` {2,}`).
enum TextPattern: Sendable, Equatable {
  case text(String)
  case run(of: Unicode.Scalar, atLeast: Int)
  case whiteSpaceRun(atLeast: Int)

  /// A regular expression of the supported form; nil for any other.
  init?(regularExpression: String) {
    var scalars = Array(regularExpression.unicodeScalars)
    var least = 1
    if scalars.last == "+" {
      scalars.removeLast()
    } else if scalars.suffix(2) == [",", "}"], let open = scalars.lastIndex(of: "{"),
      let count = Int(scalars[(open + 1)...].dropLast(2).text), count > 0
    {
      least = count
      scalars.removeSubrange(open...)
    } else {
      return nil
    }
    if scalars == ["\\", "s"] {
      self = .whiteSpaceRun(atLeast: least)
    } else if scalars.count == 1, !"\\^$.|?*+()[]{}".unicodeScalars.contains(scalars[0]) {
      self = .run(of: scalars[0], atLeast: least)
    } else {
      return nil
    }
  }

  func replacing(in text: String, with replacement: String) -> String {
    switch self {
    case .text(let sought): replacingText(in: text, sought, replacement)
    case .run(let scalar, let least): replacingRuns(in: text, least, replacement) { $0 == scalar }
    case .whiteSpaceRun(let least):
      replacingRuns(in: text, least, replacement) { $0.properties.isWhitespace }
    }
  }

  private func replacingText(in text: String, _ sought: String, _ replacement: String) -> String {
    let bytes = Array(text.utf8)
    let pattern = Array(sought.utf8)
    guard !pattern.isEmpty else { return text }
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
      if bytes[index] == pattern[0], bytes[index...].starts(with: pattern) {
        result += replacement.utf8
        index += pattern.count
      } else {
        result.append(bytes[index])
        index += 1
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  private func replacingRuns(
    in text: String, _ least: Int, _ replacement: String, _ isMember: (Unicode.Scalar) -> Bool
  ) -> String {
    var result = String.UnicodeScalarView()
    var run = String.UnicodeScalarView()
    func endRun() {
      guard !run.isEmpty else { return }
      result.append(contentsOf: run.count >= least ? replacement.unicodeScalars : run)
      run = .init()
    }
    for scalar in text.unicodeScalars {
      if isMember(scalar) {
        run.append(scalar)
      } else {
        endRun()
        result.append(scalar)
      }
    }
    endRun()
    return String(result)
  }
}
