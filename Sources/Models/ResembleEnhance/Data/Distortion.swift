import Base

/// What is done to a recording so that a model learns to undo it.
enum Distortion: Sendable, Hashable {
  /// It is played in a room: the number of the room's response.
  case room(Int)
  /// Percentages, see ``SoX/reverb(_:reverberance:damping:roomScale:)``.
  case reverb(reverberance: Double, damping: Double, roomScale: Double)
  /// White noise, made from a seed; alpha is how much is left of the signal.
  case noise(alpha: Double, seed: UInt64)
  /// Gain in dB, colour 0 to 100.
  case overdrive(gain: Double, colour: Double)
  /// Hertz and dB.
  case equalizer(frequency: Double, quality: Int, gain: Int)
  /// Hertz.
  case lowPass(taps: Int, cutoff: Double)
  /// Hertz.
  case bandPass(taps: Int, from: Int, to: Int)

  /// The six kinds, of which some are drawn.
  private static let draws: [@Sendable (inout RandomNumbers, Int) -> Distortion] = [
    { random, rooms in .room(random.index(below: rooms)) },
    { random, _ in
      .reverb(
        reverberance: random.uniform(0...100), damping: random.uniform(0...100),
        roomScale: random.uniform(0...100))
    },
    { random, _ in .noise(alpha: random.uniform(0.8...1), seed: random.next()) },
    { random, _ in .overdrive(gain: random.uniform(5...40), colour: random.uniform(20...80)) },
    { random, _ in
      .equalizer(
        frequency: random.uniform(100...4000), quality: random.whole(1...5),
        gain: random.whole(-30...30))
    },
    { random, _ in
      let taps: Int
      if random.index(below: 2) == 0 {
        taps = random.whole(50...200)
        return .lowPass(taps: taps, cutoff: random.uniform(2000...16_000))
      }
      taps = random.whole(50...200)
      let low = random.whole(100...1000)
      return .bandPass(taps: taps, from: low, to: low + random.whole(2000...4000))
    },
  ]

  /// The distortions of a training sample, in the order in which they are made: each kind with probability
  /// 1/2, in any order.
  ///
  /// - Parameters:
  ///   - probability: of any distortion at all.
  ///   - rooms: how many room responses there are, at least 1.
  static func drawn(
    _ random: inout RandomNumbers, probability: Float, rooms: Int
  ) -> [Distortion] {
    guard random.uniform() < probability else { return [] }
    let count = draws.indices.count { _ in random.index(below: 2) == 0 }
    var kinds = Array(draws.indices)
    return (0..<count).map { _ in
      let kind = kinds.remove(at: random.index(below: kinds.count))
      return draws[kind](&random, rooms)
    }
  }

  /// What is done to every validation sample.
  static let ofValidation: [Distortion] = [
    .room(0), .reverb(reverberance: 50, damping: 50, roomScale: 50),
  ]

  /// A distorted signal of the same length.
  ///
  /// - Parameters:
  ///   - rooms: the room response of a number.
  ///   - asPackage: see ``RoomResponse/apply(to:asPackage:)``.
  func apply(to samples: [Float], rooms: (Int) throws -> RoomResponse, asPackage: Bool) throws
    -> [Float]
  {
    switch self {
    case .room(let number): try rooms(number).apply(to: samples, asPackage: asPackage)
    case .reverb(let reverberance, let damping, let roomScale):
      SoX.reverb(samples, reverberance: reverberance, damping: damping, roomScale: roomScale)
    case .noise(let alpha, let seed):
      withNoise(samples, noise: Self.noise(samples.count, seed: seed), alpha: alpha)
    case .overdrive(let gain, let colour): SoX.overdrive(samples, gain: gain, colour: colour)
    case .equalizer(let frequency, let quality, let gain):
      SoX.equalizer(
        samples, frequency: frequency, quality: Double(quality), gain: Double(gain))
    case .lowPass(let taps, let cutoff): SoX.lowPass(samples, taps: taps, cutoff: cutoff)
    case .bandPass(let taps, let from, let to):
      SoX.bandPass(samples, taps: taps, from: Double(from), to: Double(to))
    }
  }

  private static func noise(_ count: Int, seed: UInt64) -> [Float] {
    var random = RandomNumbers(seed: seed)
    return random.normal(count)
  }
}

extension RandomNumbers {
  /// A number of an interval, 53 bits fine.
  mutating func uniform(_ range: ClosedRange<Double>) -> Double {
    range.lowerBound + (range.upperBound - range.lowerBound) * Double(next() >> 11) * 0x1p-53
  }

  /// A whole number of an interval, both ends included.
  mutating func whole(_ range: ClosedRange<Int>) -> Int {
    range.lowerBound + index(below: range.upperBound - range.lowerBound + 1)
  }
}
