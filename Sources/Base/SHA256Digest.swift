internal import Crypto

/// A SHA-256 digest: 32 bytes.
public struct SHA256Digest: Sendable, Hashable, CustomStringConvertible {
  /// The 32 bytes, most significant first.
  public private(set) var bytes: [UInt8]

  /// The digest of some bytes.
  public init(of data: some Sequence<UInt8>) {
    var hasher = SHA256Hasher()
    hasher.update(Array(data))
    self = hasher.finish()
  }

  /// A digest read from elsewhere; nil unless it is 32 bytes long.
  public init?(bytes: [UInt8]) {
    guard bytes.count == 32 else { return nil }
    self.bytes = bytes
  }

  /// A digest from 64 hexadecimal digits.
  public init?(hexadecimal: String) {
    guard let bytes = [UInt8](hexadecimal: hexadecimal) else { return nil }
    self.init(bytes: bytes)
  }

  fileprivate init(unchecked bytes: [UInt8]) { self.bytes = bytes }

  /// All zero: the neutral element of `+`.
  public static let zero = SHA256Digest(unchecked: [UInt8](repeating: 0, count: 32))

  /// The sum of two digests read as big-endian numbers, modulo 2^256: independent of order.
  public static func + (left: SHA256Digest, right: SHA256Digest) -> SHA256Digest {
    var sum = left
    var carry: UInt16 = 0
    for index in (0..<32).reversed() {
      let digit = UInt16(left.bytes[index]) + UInt16(right.bytes[index]) + carry
      sum.bytes[index] = UInt8(truncatingIfNeeded: digit)
      carry = digit >> 8
    }
    return sum
  }

  /// 64 lower-case hexadecimal digits.
  public var description: String { bytes.hexadecimal }
}

/// SHA-256 over bytes that arrive in pieces.
public struct SHA256Hasher: Sendable {
  private var state = SHA256()

  /// A hasher that has seen nothing.
  public init() {}

  /// Adds bytes.
  public mutating func update(_ bytes: [UInt8]) { state.update(data: bytes) }

  /// Adds bytes.
  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    state.update(bufferPointer: bytes)
  }

  /// Adds the UTF-8 bytes of a text.
  public mutating func update(_ text: String) { update(Array(text.utf8)) }

  /// The digest of all that was added.
  public func finish() -> SHA256Digest { SHA256Digest(unchecked: Array(state.finalize())) }
}

extension [UInt8] {
  /// Two lower-case hexadecimal digits a byte.
  public var hexadecimal: String {
    let digits = Array<UInt8>("0123456789abcdef".utf8)
    return String(
      decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  /// Bytes from hexadecimal digits; nil when the text is not that.
  public init?(hexadecimal text: String) {
    let digits = text.utf8.map { byte -> UInt8? in
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
      default: nil
      }
    }
    guard digits.count.isMultiple(of: 2), digits.allSatisfy({ $0 != nil }) else { return nil }
    let values = digits.compactMap { $0 }
    self = stride(from: 0, to: values.count, by: 2).map { values[$0] << 4 | values[$0 + 1] }
  }
}
