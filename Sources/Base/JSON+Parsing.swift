extension JSON {
  /// Reads one JSON value that fills all the bytes.
  ///
  /// Strict: duplicate keys, invalid UTF-8, lone surrogates, control characters in texts, numbers
  /// beyond a double and anything after the value are refused.
  ///
  /// - Parameter depth: how deep lists and objects may nest.
  public static func parse(_ bytes: [UInt8], depth: Int = 64) throws(Failure) -> JSON {
    try parse(bytes[...], depth: depth)
  }

  /// Reads one JSON value that fills a piece of an array.
  public static func parse(_ bytes: ArraySlice<UInt8>, depth: Int = 64) throws(Failure) -> JSON {
    do {
      return try bytes.withUnsafeBufferPointer { try parse($0, depth: depth) }
    } catch let failure as Failure {
      throw failure
    } catch {
      throw Failure(.badInput, problem: "JSON: \(error)")
    }
  }

  /// Reads one JSON value that fills a piece of memory.
  public static func parse(
    _ bytes: UnsafeBufferPointer<UInt8>, depth: Int = 64
  ) throws(Failure) -> JSON {
    var parser = JSONParser(bytes: bytes, depthLeft: depth)
    let value = try parser.value()
    parser.skipBlanks()
    guard parser.isAtEnd else { throw parser.failure("something after the value") }
    return value
  }

  /// Reads one JSON value that fills a text.
  public static func parse(text: String, depth: Int = 64) throws(Failure) -> JSON {
    try parse(Array(text.utf8), depth: depth)
  }
}

/// A cursor over the bytes; a value type that lives only during the call.
private struct JSONParser {
  let bytes: UnsafeBufferPointer<UInt8>
  var depthLeft: Int
  var index = 0

  var isAtEnd: Bool { index == bytes.count }
  /// The next byte; 0, which is nowhere valid, at the end.
  var next: UInt8 { index < bytes.count ? bytes[index] : 0 }

  init(bytes: UnsafeBufferPointer<UInt8>, depthLeft: Int) {
    self.bytes = bytes
    self.depthLeft = depthLeft
  }

  func failure(_ problem: String, at place: Int? = nil) -> Failure {
    Failure(
      .badInput, problem: "JSON, byte \(place ?? index): \(problem)",
      remedy: "check where it comes from")
  }

  mutating func skipBlanks() {
    while next == 0x20 || next == 0x0A || next == 0x0D || next == 0x09 { index += 1 }
  }

  mutating func value() throws(Failure) -> JSON {
    skipBlanks()
    switch next {
    case UInt8(ascii: "{"): return try object()
    case UInt8(ascii: "["): return try list()
    case UInt8(ascii: "\""): return .string(try text())
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: throw failure(isAtEnd ? "ends early" : "a value is expected")
    }
  }

  mutating func word(_ word: StaticString, _ value: JSON) throws(Failure) -> JSON {
    guard
      bytes[index...].starts(
        with: UnsafeBufferPointer(
          start: word.utf8Start, count: word.utf8CodeUnitCount))
    else { throw failure("a value is expected") }
    index += word.utf8CodeUnitCount
    return value
  }

  mutating func enter() throws(Failure) {
    guard depthLeft > 0 else { throw failure("nested too deeply") }
    depthLeft -= 1
    index += 1
    skipBlanks()
  }

  /// After an element: true when another follows.
  mutating func goesOn(until end: UInt8) throws(Failure) -> Bool {
    skipBlanks()
    if next == UInt8(ascii: ",") {
      index += 1
      skipBlanks()
      return true
    }
    guard next == end else { throw failure(isAtEnd ? "ends early" : "',' or the end is expected") }
    index += 1
    depthLeft += 1
    return false
  }

  mutating func list() throws(Failure) -> JSON {
    try enter()
    var elements: [JSON] = []
    if next == UInt8(ascii: "]") {
      index += 1
      depthLeft += 1
      return .array([])
    }
    repeat { elements.append(try value()) } while try goesOn(until: UInt8(ascii: "]"))
    return .array(elements)
  }

  mutating func object() throws(Failure) -> JSON {
    try enter()
    var members: [String: JSON] = [:]
    if next == UInt8(ascii: "}") {
      index += 1
      depthLeft += 1
      return .object([:])
    }
    repeat {
      guard next == UInt8(ascii: "\"") else { throw failure("a key is expected") }
      let place = index
      let key = try text()
      skipBlanks()
      guard next == UInt8(ascii: ":") else { throw failure("':' is expected") }
      index += 1
      guard members.updateValue(try value(), forKey: key) == nil else {
        throw failure("the key '\(key)' stands twice", at: place)
      }
    } while try goesOn(until: UInt8(ascii: "}"))
    return .object(members)
  }

  mutating func number() throws(Failure) -> JSON {
    let start = index
    func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }
    if next == UInt8(ascii: "-") { index += 1 }
    guard isDigit(next) else { throw failure("a digit is expected") }
    if next == UInt8(ascii: "0") {
      index += 1
    } else {
      while isDigit(next) { index += 1 }
    }
    var isWhole = true
    if next == UInt8(ascii: ".") {
      isWhole = false
      index += 1
      guard isDigit(next) else { throw failure("a digit is expected") }
      while isDigit(next) { index += 1 }
    }
    if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
      isWhole = false
      index += 1
      if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { index += 1 }
      guard isDigit(next) else { throw failure("a digit is expected") }
      while isDigit(next) { index += 1 }
    }
    let digits = UnsafeBufferPointer(rebasing: bytes[start..<index])
    if isWhole, digits.count < 19 {
      var value: Int64 = 0
      for digit in digits.drop(while: { $0 == UInt8(ascii: "-") }) {
        value = value * 10 + Int64(digit - UInt8(ascii: "0"))
      }
      return .integer(digits[0] == UInt8(ascii: "-") ? -value : value)
    }
    let text = String(decoding: digits, as: UTF8.self)
    if isWhole, let value = Int64(text) { return .integer(value) }
    guard let value = Double(text), value.isFinite else {
      throw failure("a number out of range", at: start)
    }
    return .number(value)
  }

  mutating func text() throws(Failure) -> String {
    let start = index + 1
    index = start
    while index < bytes.count, bytes[index] != UInt8(ascii: "\""),
      bytes[index] != UInt8(ascii: "\\"),
      bytes[index] >= 0x20
    { index += 1 }
    if next == UInt8(ascii: "\"") {
      let plain = UnsafeBufferPointer(rebasing: bytes[start..<index])
      index += 1
      return try valid(plain, at: start)
    }
    var content = Array(bytes[start..<index])
    while true {
      guard index < bytes.count else { throw failure("a text without its end") }
      let byte = bytes[index]
      index += 1
      if byte == UInt8(ascii: "\"") { break }
      guard byte >= 0x20 else { throw failure("a control character in a text", at: index - 1) }
      if byte == UInt8(ascii: "\\") { try escape(&content) } else { content.append(byte) }
    }
    do {
      return try content.withUnsafeBufferPointer { try valid($0, at: start) }
    } catch let problem as Failure {
      throw problem
    } catch {
      throw failure("\(error)", at: start)
    }
  }

  func valid(_ content: UnsafeBufferPointer<UInt8>, at place: Int) throws(Failure) -> String {
    guard let text = String(validating: content, as: UTF8.self) else {
      throw failure("a text that is not UTF-8", at: place)
    }
    return text
  }

  mutating func escape(_ content: inout [UInt8]) throws(Failure) {
    let place = index - 1
    let byte = next
    index += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(byte)
    case UInt8(ascii: "b"): content.append(0x08)
    case UInt8(ascii: "f"): content.append(0x0C)
    case UInt8(ascii: "n"): content.append(0x0A)
    case UInt8(ascii: "r"): content.append(0x0D)
    case UInt8(ascii: "t"): content.append(0x09)
    case UInt8(ascii: "u"):
      var code = UInt32(try unit(place))
      if code & 0xFC00 == 0xD800 {
        guard next == UInt8(ascii: "\\"), index + 1 < bytes.count,
          bytes[index + 1] == UInt8(ascii: "u")
        else { throw failure("half a surrogate pair", at: place) }
        index += 2
        let low = UInt32(try unit(place))
        guard low & 0xFC00 == 0xDC00 else { throw failure("half a surrogate pair", at: place) }
        code = 0x10000 + (code & 0x3FF) << 10 + (low & 0x3FF)
      }
      guard let scalar = Unicode.Scalar(code) else {
        throw failure("half a surrogate pair", at: place)
      }
      content.append(contentsOf: Array(String(Character(scalar)).utf8))
    default: throw failure("an unknown escape", at: place)
    }
  }

  mutating func unit(_ place: Int) throws(Failure) -> UInt16 {
    guard bytes.count - index >= 4 else { throw failure("an escape cut short", at: place) }
    var code: UInt16 = 0
    for _ in 0..<4 {
      let digit: UInt8
      switch bytes[index] {
      case let byte where byte &- UInt8(ascii: "0") < 10: digit = byte - UInt8(ascii: "0")
      case let byte where (byte | 0x20) &- UInt8(ascii: "a") < 6:
        digit = (byte | 0x20) - UInt8(ascii: "a") + 10
      default: throw failure("a hexadecimal digit is expected", at: index)
      }
      code = code << 4 | UInt16(digit)
      index += 1
    }
    return code
  }
}
