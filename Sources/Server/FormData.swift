import Base

/// The fields of a form, `multipart/form-data` or `application/x-www-form-urlencoded`.
struct FormData {
  /// One field.
  struct Field {
    var name: String
    /// What the browser calls the file; nil where it is none. It names nothing here.
    var fileName: String?
    var value: ArraySlice<UInt8>
  }

  private(set) var fields: [Field] = []

  private static let mostFields = 32
  private static let longestHeader = 8 << 10

  /// Reads the body of a request.
  ///
  /// - Parameter type: its content type.
  /// - Throws: `badInput` when it is no whole form of either kind.
  init(_ body: [UInt8], type: String) throws {
    let kind = type.prefix { $0 != ";" }.lowercased().filter { $0 != " " }
    switch kind {
    case "multipart/form-data":
      guard let boundary = Self.parameter("boundary", of: type),
        (1...70).contains(boundary.utf8.count)
      else { throw Self.malformed("the content type names no boundary") }
      try readParts(of: body, boundary: Array("--\(boundary)".utf8))
    case "application/x-www-form-urlencoded":
      try readPairs(of: body)
    default:
      throw Self.malformed("its content type is '\(type)'")
    }
  }

  /// The text of a field; nil where it is missing or empty.
  ///
  /// - Throws: `badInput` when it is given twice or is no UTF-8.
  func text(_ name: String) throws -> String? {
    guard let field = try field(name), !field.value.isEmpty else { return nil }
    guard let text = String(validating: field.value, as: UTF8.self) else {
      throw Self.malformed("the field '\(name)' is not UTF-8 text")
    }
    return text
  }

  /// A field; nil where it is missing.
  ///
  /// - Throws: `badInput` when it is given twice.
  func field(_ name: String) throws -> Field? {
    let found = fields.filter { $0.name == name }
    guard found.count <= 1 else { throw Self.malformed("the field '\(name)' comes twice") }
    return found.first
  }

  private static func malformed(_ problem: String) -> Failure {
    .form("the form cannot be read: \(problem)", remedy: "send multipart/form-data")
  }

  // MARK: multipart/form-data

  private mutating func readParts(of body: [UInt8], boundary: [UInt8]) throws {
    var rest = body[...]
    // What stands before the first boundary means nothing, but nothing stands there in a form.
    guard rest.starts(with: boundary) else {
      throw Self.malformed("it does not begin with the boundary")
    }
    rest = rest.dropFirst(boundary.count)
    while true {
      if rest.starts(with: Array("--".utf8)) { return }
      guard rest.starts(with: Self.lineEnd) else {
        throw Self.malformed("a boundary does not end its line")
      }
      rest = rest.dropFirst(2)
      guard fields.count < Self.mostFields else { throw Self.malformed("it has too many fields") }
      let (name, fileName) = try Self.readHeader(&rest)
      guard let end = Self.position(of: Self.lineEnd + boundary, in: rest) else {
        throw Self.malformed("the field '\(name)' has no end")
      }
      fields.append(Field(name: name, fileName: fileName, value: rest[..<end]))
      rest = rest[(end + 2 + boundary.count)...]
    }
  }

  private static let lineEnd: [UInt8] = [13, 10]

  /// Reads the lines above a field's value.
  private static func readHeader(
    _ rest: inout ArraySlice<UInt8>
  ) throws -> (name: String, fileName: String?) {
    var disposition: String?
    let limit = rest.startIndex + longestHeader
    while true {
      guard let end = position(of: lineEnd, in: rest.prefix(upTo: min(limit, rest.endIndex))),
        let line = String(validating: rest[..<end], as: UTF8.self)
      else { throw malformed("a field has no header") }
      rest = rest[(end + 2)...]
      if line.isEmpty { break }
      if line.lowercased().hasPrefix("content-disposition:") { disposition = line }
    }
    guard let disposition, let name = parameter("name", of: disposition) else {
      throw malformed("a field has no name")
    }
    return (name, parameter("filename", of: disposition))
  }

  /// The value of `name=value` or `name="value"` after a semicolon.
  private static func parameter(_ name: String, of header: String) -> String? {
    var rest = header[...]
    while let semicolon = rest.firstIndex(of: ";") {
      rest = rest[rest.index(after: semicolon)...].drop { $0 == " " }
      guard rest.lowercased().hasPrefix(name + "=") else { continue }
      rest = rest.dropFirst(name.count + 1)
      guard rest.first == "\"" else {
        return String(rest.prefix { $0 != ";" && $0 != " " })
      }
      var value = ""
      var isEscaped = false
      for character in rest.dropFirst() {
        if character == "\\", !isEscaped {
          isEscaped = true
          continue
        }
        if character == "\"", !isEscaped { return value }
        value.append(character)
        isEscaped = false
      }
      return nil
    }
    return nil
  }

  /// Where a run of bytes stands first.
  private static func position(of pattern: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
    guard let first = pattern.first else { return nil }
    var from = bytes.startIndex
    while let start = bytes[from...].firstIndex(of: first) {
      if bytes[start...].starts(with: pattern) { return start }
      from = start + 1
    }
    return nil
  }

  // MARK: application/x-www-form-urlencoded

  private mutating func readPairs(of body: [UInt8]) throws {
    for pair in body.split(separator: UInt8(ascii: "&")) {
      guard fields.count < Self.mostFields else { throw Self.malformed("it has too many fields") }
      let halves = pair.split(
        separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
      guard let first = halves.first, !first.isEmpty, let name = try? Self.decoded(first),
        let text = String(validating: name, as: UTF8.self)
      else { throw Self.malformed("a field has no name") }
      fields.append(
        Field(name: text, value: try halves.count > 1 ? Self.decoded(halves[1])[...] : []))
    }
  }

  private static func decoded(_ bytes: ArraySlice<UInt8>) throws -> [UInt8] {
    var result: [UInt8] = []
    var rest = bytes
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "+"): result.append(UInt8(ascii: " "))
      case UInt8(ascii: "%"):
        let digits = String(decoding: rest.prefix(2), as: UTF8.self)
        guard digits.utf8.count == 2, digits.allSatisfy(\.isHexDigit),
          let value = UInt8(digits, radix: 16)
        else {
          throw malformed("a per cent sign is not followed by two digits")
        }
        result.append(value)
        rest = rest.dropFirst(2)
      default: result.append(byte)
      }
    }
    return result
  }
}
