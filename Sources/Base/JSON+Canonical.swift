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
  /// Swift finds the same digits, but changes to exponents elsewhere: Python writes them from 10^16
  /// on and below 10^-4.
  static func text(of value: Double) -> String {
    let parts = "\(value.magnitude)".split(separator: "e")
    guard value.isFinite, value != 0, let mantissa = parts.first else { return "\(value)" }
    let whole = mantissa.prefix { $0 != "." }
    var digits = mantissa.filter { $0 != "." }
    // The value is 0.DIGITS times ten to this power.
    var power = whole.count + (parts.count > 1 ? Int(parts[1]) ?? 0 : 0)
    power -= digits.prefix { $0 == "0" }.count
    digits = String(digits.drop { $0 == "0" })
    while digits.last == "0" { digits.removeLast() }
    let sign = value < 0 ? "-" : ""
    if power > 16 || power < -3 {
      let fraction = digits.count > 1 ? "." + digits.dropFirst() : ""
      let exponent = power - 1
      let size = String(exponent.magnitude)
      return sign + digits.prefix(1) + fraction + "e" + (exponent < 0 ? "-" : "+")
        + (size.count < 2 ? "0" : "") + size
    }
    if power <= 0 { return sign + "0." + String(repeating: "0", count: -power) + digits }
    if power >= digits.count {
      return sign + digits + String(repeating: "0", count: power - digits.count) + ".0"
    }
    return sign + digits.prefix(power) + "." + digits.dropFirst(power)
  }
}

extension Sequence<String> {
  /// The texts in the order of their code points (which is that of their UTF-8 bytes), and not in
  /// that of their normalised forms, as `sorted()` has it.
  public var sortedByCodePoints: [String] {
    sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }
}
