import Glibc

/// The numbers that PyTorch's generator draws on a CPU after `manual_seed`: the Mersenne Twister (Matsumoto
/// and Nishimura, 1998), and Box and Muller's transform in blocks of sixteen.
///
/// Normal numbers agree within rounding; with what it draws on a GPU nothing agrees.
struct TorchRandom: Sendable {
  private static let size = 624
  private var state: [UInt32]
  private var next = size
  /// The second number of a pair, for fewer than sixteen.
  private var spare: Double?

  /// - Parameter seed: its lower 32 bits count.
  init(seed: UInt64) {
    state = [UInt32(truncatingIfNeeded: seed)]
    state.reserveCapacity(Self.size)
    for index in 1..<Self.size {
      let last = state[index - 1]
      state.append(1_812_433_253 &* (last ^ last >> 30) &+ UInt32(index))
    }
  }

  /// The next 32 random bits.
  mutating func bits() -> UInt32 {
    if next == Self.size { turn() }
    var word = state[next]
    next += 1
    word ^= word >> 11
    word ^= word << 7 & 0x9d2c_5680
    word ^= word << 15 & 0xefc6_0000
    return word ^ word >> 18
  }

  private mutating func turn() {
    for index in 0..<Self.size {
      let joined =
        state[index] & 0x8000_0000 | state[(index + 1) % Self.size] & 0x7fff_ffff
      let twist: UInt32 = joined & 1 == 0 ? 0 : 0x9908_b0df
      state[index] = state[(index + 397) % Self.size] ^ joined >> 1 ^ twist
    }
    next = 0
  }

  /// Numbers in [0, 1), 24 bits fine: `torch.rand`.
  mutating func uniform(_ count: Int) -> [Float] {
    (0..<count).map { _ in uniform() }
  }

  private mutating func uniform() -> Float { Float(bits() & 0xff_ffff) * 0x1p-24 }

  /// Standard normal numbers: `torch.randn` of a tensor of so many.
  mutating func normal(_ count: Int) -> [Float] {
    guard count >= 16 else { return (0..<count).map { _ in Float(single()) } }
    var numbers = uniform(count)
    for start in stride(from: 0, through: count - 16, by: 16) { transform(&numbers, from: start) }
    if count % 16 != 0 {
      // The last sixteen are drawn once more.
      numbers.replaceSubrange(count - 16..<count, with: uniform(16))
      transform(&numbers, from: count - 16)
    }
    return numbers
  }

  /// Sixteen uniform numbers become normal ones.
  private func transform(_ numbers: inout [Float], from start: Int) {
    for index in start..<start + 8 {
      let radius = (-2 * log(1 - Double(numbers[index]))).squareRoot()
      let angle = 2 * Double.pi * Double(numbers[index + 8])
      numbers[index] = Float(radius * cos(angle))
      numbers[index + 8] = Float(radius * sin(angle))
    }
  }

  /// One normal number, of pairs in double precision.
  private mutating func single() -> Double {
    if let number = spare {
      spare = nil
      return number
    }
    let angle = 2 * Double.pi * double()
    let radius = (-2 * log1p(-double())).squareRoot()
    spare = radius * sin(angle)
    return radius * cos(angle)
  }

  /// A number in [0, 1), 53 bits fine.
  private mutating func double() -> Double {
    let high = UInt64(bits())
    return Double((high << 32 | UInt64(bits())) & (1 << 53 - 1)) * 0x1p-53
  }
}
