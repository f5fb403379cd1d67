extension JSON {
  /// The one way to write this value: as Python's
  /// `json.dumps(x, sort_keys=True, ensure_ascii=False, separators=(',', ':'))` does.
  public var canonicalBytes: [UInt8] {
    var bytes: [UInt8] = []
    appendCanonical(to: &bytes)
    return bytes
  }

  /// `canonicalBytes` as text.
  public var canonicalText: String { String(decoding: canonicalBytes, as: UTF8.self) }

  /// Appends `canonicalBytes`.
  public func appendCanonical(to bytes: inout [UInt8]) {
    switch self {
    case .null: bytes.append(contentsOf: "null".utf8)
    case .bool(let value): bytes.append(contentsOf: (value ? "true" : "false").utf8)
    case .integer(let value): bytes.append(contentsOf: String(value).utf8)
    case .number(let value): bytes.append(contentsOf: JSON.text(of: value).utf8)
    case .string(let text): JSON.appendCanonical(text, to: &bytes)
    case .array(let elements):
      bytes.append(UInt8(ascii: "["))
      for (index, element) in elements.enumerated() {
        if index > 0 { bytes.append(UInt8(ascii: ",")) }
        element.appendCanonical(to: &bytes)
      }
      bytes.append(UInt8(ascii: "]"))
    case .object(let members):
      bytes.append(UInt8(ascii: "{"))
      for (index, key) in members.keys.sortedByCodePoints.enumerated() {
        if index > 0 { bytes.append(UInt8(ascii: ",")) }
        JSON.appendCanonical(key, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        members[key]?.appendCanonical(to: &bytes)
      }
      bytes.append(UInt8(ascii: "}"))
    }
  }

  /// Appends a text with its quotes: quote, backslash and control characters are escaped, nothing else.
  public static func appendCanonical(_ text: String, to bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(byte)
      case 0x08: bytes.append(contentsOf: #"\b"#.utf8)
      case 0x09: bytes.append(contentsOf: #"\t"#.utf8)
      case 0x0A: bytes.append(contentsOf: #"\n"#.utf8)
      case 0x0C: bytes.append(contentsOf: #"\f"#.utf8)
      case 0x0D: bytes.append(contentsOf: #"\r"#.utf8)
      case 0..<0x20: bytes.append(contentsOf: (#"\u00"# + [byte].hexadecimal).utf8)
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }

  /// The shortest decimal that reads back as the same number, in Python's notation.
  ///
  /// Swift writes the same digits, but keeps to positional notation a little longer (up to 2^54
  /// where Python stops below 10^16).
  static func text(of value: Double) -> String {
    let text = "\(value)"
    guard value.magnitude >= 1e16, value.isFinite, !text.contains("e") else { return text }
    let digits = text.drop { $0 == "-" }.prefix { $0 != "." }
    let exponent = digits.count - 1
    var mantissa = String(digits.first ?? "0")
    var rest = digits.dropFirst()
    while rest.last == "0" { rest.removeLast() }
    if !rest.isEmpty { mantissa += "." + rest }
    return (value < 0 ? "-" : "") + mantissa + "e+\(exponent)"
  }
}

extension Sequence<String> {
  /// The texts in the order of their code points (which is that of their UTF-8 bytes), and not in
  /// that of their normalised forms, as `sorted()` has it.
  public var sortedByCodePoints: [String] {
    sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }
}
