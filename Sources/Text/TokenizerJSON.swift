internal import Base
internal import Foundation

/// One component of a `tokenizer.json`, as its members, with the name that failures give it.
struct TokenizerComponent {
  let name: String
  let json: JSON

  /// A component by its path in the file; `json` must be an object.
  init(_ name: String, _ json: JSON) throws {
    guard json.object != nil else { throw Failure.damagedTokenizer("\(name) is not an object") }
    self.name = name
    self.json = json
  }

  /// The `type` member.
  func type() throws -> String { try string("type") }

  func string(_ key: String) throws -> String {
    guard let value = json[key]?.string else { throw malformed(key) }
    return value
  }

  /// A single character.
  func scalar(_ key: String, default value: Unicode.Scalar? = nil) throws -> Unicode.Scalar {
    if let value, isAbsent(key) { return value }
    let scalars = try string(key).unicodeScalars
    guard let scalar = scalars.first, scalars.count == 1 else { throw malformed(key) }
    return scalar
  }

  func bool(_ key: String, default value: Bool) throws -> Bool {
    if isAbsent(key) { return value }
    guard let found = json[key]?.bool else { throw malformed(key) }
    return found
  }

  /// A number of things, not negative.
  func count(_ key: String) throws -> Int {
    guard let value = json[key]?.integer, value >= 0 else { throw malformed(key) }
    return value
  }

  /// A list; an absent one is empty.
  func list(_ key: String) throws -> [JSON] {
    if isAbsent(key) { return [] }
    guard let value = json[key]?.array else { throw malformed(key) }
    return value
  }

  func isAbsent(_ key: String) -> Bool { json[key] == nil || json[key] == .null }

  func malformed(_ key: String) -> Failure { .damagedTokenizer("\(name): malformed '\(key)'") }
}

/// A component that may be absent, or a sequence of others under `member`.
private func component<Kind>(
  _ name: String, _ json: JSON?, member: String, sequence: ([Kind]) -> Kind,
  single: (TokenizerComponent) throws -> Kind
) throws -> Kind? {
  guard let json, json != .null else { return nil }
  let component = try TokenizerComponent(name, json)
  guard try component.type() == "Sequence" else { return try single(component) }
  return sequence(
    try component.list(member).compactMap {
      try Text.component(name, $0, member: member, sequence: sequence, single: single)
    })
}

extension TextNormalizer {
  /// The `normalizer` of a file.
  static func parsed(_ json: JSON?) throws -> TextNormalizer? {
    try component(
      "normalizer", json, member: "normalizers", sequence: TextNormalizer.sequence,
      single: parsed)
  }

  private static func parsed(_ component: TokenizerComponent) throws -> TextNormalizer {
    switch try component.type() {
    case "Prepend": return .prepend(try component.string("prepend"))
    case "Replace":
      return .replace(try pattern(component), try component.string("content"))
    case "Strip":
      return .strip(
        left: try component.bool("strip_left", default: true),
        right: try component.bool("strip_right", default: true))
    case "Lowercase": return .lowercase
    case "StripAccents": return .withoutAccents
    case "Precompiled":
      let map = try component.string("precompiled_charsmap")
      guard let bytes = Data(base64Encoded: map) else {
        throw component.malformed("precompiled_charsmap")
      }
      return bytes.isEmpty ? .sequence([]) : .characterMap(try CharacterMap(Array(bytes)))
    case let type:
      guard let form = UnicodeForm(rawValue: type) else {
        throw Failure.unsupportedTokenizer("the normalizer '\(type)'")
      }
      return .unicode(form)
    }
  }

  fileprivate static func pattern(_ component: TokenizerComponent) throws -> TextPattern {
    let pattern = component.json["pattern"]
    if let text = pattern?["String"]?.string { return .text(text) }
    guard let expression = pattern?["Regex"]?.string else { throw component.malformed("pattern") }
    guard let pattern = TextPattern(regularExpression: expression) else {
      throw Failure.unsupportedTokenizer("the regular expression '\(expression)'")
    }
    return pattern
  }
}

extension Metaspace {
  fileprivate init(_ component: TokenizerComponent) throws {
    mark = try component.scalar("replacement", default: "\u{2581}")
    split = try component.bool("split", default: true)
    let scheme = component.json["prepend_scheme"]?.string ?? "always"
    guard let prepending = Prepending(rawValue: scheme) else {
      throw component.malformed("prepend_scheme")
    }
    // Older files say only whether a mark is put in front.
    self.prepending =
      try component.bool("add_prefix_space", default: true) ? prepending : .never
  }
}

extension PreTokenizer {
  /// The `pre_tokenizer` of a file.
  static func parsed(_ json: JSON?) throws -> PreTokenizer? {
    try component(
      "pre_tokenizer", json, member: "pretokenizers", sequence: PreTokenizer.sequence
    ) { component in
      switch try component.type() {
      case "Metaspace": .metaspace(try Metaspace(component))
      case "WhitespaceSplit": .whitespaceSplit
      case let type: throw Failure.unsupportedTokenizer("the pre-tokenizer '\(type)'")
      }
    }
  }
}

extension TokenDecoder {
  /// The `decoder` of a file.
  static func parsed(_ json: JSON?) throws -> TokenDecoder? {
    try component("decoder", json, member: "decoders", sequence: TokenDecoder.sequence) {
      component in
      switch try component.type() {
      case "Metaspace":
        let metaspace = try Metaspace(component)
        return .metaspace(mark: metaspace.mark, dropsFirst: metaspace.prepending != .never)
      case "ByteFallback": return .byteFallback
      case "Fuse": return .fuse
      case "Replace":
        return .replace(
          try TextNormalizer.pattern(component), try component.string("content"))
      case "Strip":
        return .strip(
          try component.scalar("content"), start: try component.count("start"),
          stop: try component.count("stop"))
      case let type: throw Failure.unsupportedTokenizer("the decoder '\(type)'")
      }
    }
  }
}
