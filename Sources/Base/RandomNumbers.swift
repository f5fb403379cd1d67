import Glibc

/// A counter-based random generator: Philox 4x32-10 (Salmon et al., 2011).
///
/// Draws depend only on the key and the position, so that a record's randomness can be made from
/// (seed, id) wherever it stands in a stream, and a run resumes from two integers.
public struct RandomNumbers: Sendable, RandomNumberGenerator {
  private let key: (UInt32, UInt32)
  private let stream: UInt64
  /// The position: how many 32-bit numbers were drawn.
  public private(set) var position: UInt64

  /// The generator of a seed and a stream of it, at a position.
  public init(seed: UInt64, stream: UInt64 = 0, position: UInt64 = 0) {
    key = (UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
    self.stream = stream
    self.position = position
  }

  /// The generator of a seed and a name: a record's id, a purpose.
  public init(seed: UInt64, name: String) {
    let digest = SHA256Digest(of: name.utf8)
    self.init(seed: seed, stream: digest.bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) })
  }

  private static func block(
    _ key: (UInt32, UInt32), _ counter: UInt64, _ stream: UInt64
  ) -> (UInt32, UInt32, UInt32, UInt32) {
    var (a, b, c, d) = (
      UInt32(truncatingIfNeeded: counter), UInt32(truncatingIfNeeded: counter >> 32),
      UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32)
    )
    var (k0, k1) = key
    for _ in 0..<10 {
      let p = UInt64(a) * 0xD251_1F53
      let q = UInt64(c) * 0xCD9E_8D57
      (a, b, c, d) = (
        UInt32(truncatingIfNeeded: q >> 32) ^ b ^ k0, UInt32(truncatingIfNeeded: q),
        UInt32(truncatingIfNeeded: p >> 32) ^ d ^ k1, UInt32(truncatingIfNeeded: p)
      )
      k0 &+= 0x9E37_79B9
      k1 &+= 0xBB67_AE85
    }
    return (a, b, c, d)
  }

  /// The next 32 random bits.
  public mutating func nextBits() -> UInt32 {
    let block = Self.block(key, position / 4, stream)
    defer { position += 1 }
    switch position % 4 {
    case 0: return block.0
    case 1: return block.1
    case 2: return block.2
    default: return block.3
    }
  }

  /// The next 64 random bits.
  public mutating func next() -> UInt64 {
    let high = UInt64(nextBits())
    return high << 32 | UInt64(nextBits())
  }

  /// A number in [0, 1), 24 bits fine.
  public mutating func uniform() -> Float { Float(nextBits() >> 8) * 0x1p-24 }

  /// Standard normal numbers (Box and Muller's transform), an even number of draws each time.
  public mutating func normal(_ count: Int) -> [Float] {
    var numbers = [Float](unsafeUninitializedCapacity: count + 1) { buffer, filled in
      var index = 0
      while index < count {
        let u = (Double(nextBits()) + 1) * 0x1p-32
        let angle = 2 * Double.pi * Double(nextBits()) * 0x1p-32
        let radius = (-2 * log(u)).squareRoot()
        buffer.initializeElement(at: index, to: Float(radius * cos(angle)))
        buffer.initializeElement(at: index + 1, to: Float(radius * sin(angle)))
        index += 2
        if index == count + 1 { break }
      }
      filled = min(index, count + 1)
    }
    if numbers.count > count { numbers.removeLast(numbers.count - count) }
    return numbers
  }

  /// One standard normal number.
  public mutating func normal() -> Float { normal(1)[0] }

  /// A whole number in 0 ..< bound, without bias.
  public mutating func index(below bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }
}
