internal import Base

/// Reads the fields of one protocol buffer message, strictly.
struct ProtocolBuffer {
  enum Value {
    case integer(UInt64)
    case fixed64(UInt64)
    case fixed32(UInt32)
    case bytes(ArraySlice<UInt8>)
  }

  private var rest: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  /// The next field, or nil at the end.
  mutating func next() throws -> (number: Int, value: Value)? {
    guard !rest.isEmpty else { return nil }
    let key = try integer()
    let number = key >> 3
    guard number > 0, number < 1 << 29 else {
      throw Failure.damagedTokenizer("field number \(number)")
    }
    let value: Value =
      switch key & 7 {
      case 0: .integer(try integer())
      case 1: .fixed64(try fixed(8))
      case 2: .bytes(try bytes(try integer()))
      case 5: .fixed32(UInt32(truncatingIfNeeded: try fixed(4)))
      default: throw Failure.damagedTokenizer("not a SentencePiece model")
      }
    return (Int(number), value)
  }

  private mutating func integer() throws -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard let byte = rest.popFirst() else { break }
      guard shift < 63 || byte <= 1 else { break }
      value |= UInt64(byte & 0x7F) << shift
      if byte & 0x80 == 0 { return value }
    }
    throw Failure.damagedTokenizer("an integer is cut short or too long")
  }

  private mutating func bytes(_ count: UInt64) throws -> ArraySlice<UInt8> {
    guard count <= UInt64(rest.count) else { throw Failure.damagedTokenizer("cut short") }
    defer { rest = rest.dropFirst(Int(count)) }
    return rest.prefix(Int(count))
  }

  private mutating func fixed(_ count: UInt64) throws -> UInt64 {
    try bytes(count).reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
}
