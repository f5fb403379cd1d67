/// A permutation of 0 ..< count that is computed, not stored: a Feistel network over the next power
/// of four, walked until it lands inside.
public struct Permutation: Sendable {
  /// How many numbers are permuted.
  public let count: Int
  private let half: Int
  private let mask: UInt64
  private let keys: [UInt64]

  /// The permutation of a seed and a name.
  public init(count: Int, seed: UInt64, name: String) {
    self.count = count
    var bits = 1
    while bits < 31, 1 << (2 * bits) < count { bits += 1 }
    half = bits
    mask = 1 << UInt64(bits) - 1
    var random = RandomNumbers(seed: seed, name: name)
    keys = (0..<6).map { _ in random.next() }
  }

  /// Where a number goes: every number of 0 ..< count is the place of exactly one.
  public subscript(index: Int) -> Int {
    precondition(index >= 0 && index < count)
    var number = UInt64(index)
    repeat {
      var (left, right) = (number >> UInt64(half), number & mask)
      for key in keys { (left, right) = (right, left ^ (Self.mix(right ^ key) & mask)) }
      number = left << UInt64(half) | right
    } while number >= UInt64(count)
    return Int(number)
  }

  /// The finaliser of SplitMix64: every bit of the input changes half of the output's.
  private static func mix(_ x: UInt64) -> UInt64 {
    var z = x &+ 0x9E37_79B9_7F4A_7C15
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }
}
