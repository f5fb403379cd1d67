import Base
import Glibc

/// Integrated loudness of a recording that arrives in pieces: ITU-R BS.1770-4, K-weighted, with the
/// absolute gate at -70 LUFS and the relative gate at -10 LU. Every channel has weight 1.
///
/// A recording shorter than a gating block of 0.4 s is one block of its own length.
public struct LoudnessMeter: Sendable {
  /// The lowest rate at which the weighting filter exists.
  public static let lowestRate = 8000

  private let rate: Int
  private var shelves: [Biquad]
  private var highPasses: [Biquad]
  /// Energy of each 100 ms step, all channels.
  private var steps: [Double] = []
  private var energy = 0.0
  private var count = 0
  private var total = 0

  /// A meter for audio of one rate.
  ///
  /// - Throws: `badInput` below `lowestRate`.
  public init(rate: Int, channels: Int) throws {
    guard rate >= Self.lowestRate, sampleRates.contains(rate) else {
      throw Failure(
        .badInput, problem: "loudness is not defined at a sample rate of \(rate) Hz",
        remedy: "resample to \(Self.lowestRate) Hz or more")
    }
    self.rate = rate
    shelves = Array(repeating: Self.shelf(Double(rate)), count: channels)
    highPasses = Array(repeating: Self.highPass(Double(rate)), count: channels)
  }

  /// Adds samples, [channel][sample].
  public mutating func process(_ channels: [[Float]]) {
    guard let length = channels.first?.count else { return }
    var index = 0
    while index < length {
      // A step ends at a whole multiple of 0.1 s of all samples seen.
      let end = ((steps.count + 1) * rate) / 10
      let piece = min(length - index, end - total)
      for (channel, samples) in channels.enumerated() {
        energy += weigh(samples, index..<index + piece, channel)
      }
      index += piece
      total += piece
      count += piece
      if total == end {
        steps.append(energy / Double(count))
        (energy, count) = (0, 0)
      }
    }
  }

  private mutating func weigh(_ samples: [Float], _ range: Range<Int>, _ channel: Int) -> Double {
    var shelf = shelves[channel]
    var highPass = highPasses[channel]
    var sum = 0.0
    samples.withUnsafeBufferPointer { samples in
      for index in range {
        let y = highPass.step(shelf.step(Double(samples[index])))
        sum += y * y
      }
    }
    shelves[channel] = shelf
    highPasses[channel] = highPass
    return sum
  }

  /// Integrated loudness in LUFS of all that was added; nil when nothing passes the gates.
  public var integrated: Double? {
    var blocks: [Double] = []
    if steps.count >= 4 {
      blocks = (0...steps.count - 4).map { steps[$0..<$0 + 4].reduce(0, +) / 4 }
    } else if total > 0 {
      // Steps have one length but for rounding.
      let whole = Double(total - count)
      let sum = steps.isEmpty ? 0 : steps.reduce(0, +) / Double(steps.count) * whole
      blocks = [(sum + energy) / Double(total)]
    }
    func level(_ power: Double) -> Double { -0.691 + 10 * log10(power) }
    let audible = blocks.filter { level($0) > -70 }
    guard !audible.isEmpty else { return nil }
    let gate = level(audible.reduce(0, +) / Double(audible.count)) - 10
    let loud = audible.filter { level($0) > gate }
    guard !loud.isEmpty else { return nil }
    return level(loud.reduce(0, +) / Double(loud.count))
  }

  /// The high shelf of the K-weighting, by the analogue prototype behind the standard's table.
  private static func shelf(_ rate: Double) -> Biquad {
    let k = tan(.pi * 1681.974450955533 / rate)
    let q = 0.7071752369554196
    let vh = pow(10, 3.999843853973347 / 20)
    let vb = pow(vh, 0.4996667741545416)
    let a0 = 1 + k / q + k * k
    return Biquad(
      b0: (vh + vb * k / q + k * k) / a0, b1: 2 * (k * k - vh) / a0,
      b2: (vh - vb * k / q + k * k) / a0, a1: 2 * (k * k - 1) / a0, a2: (1 - k / q + k * k) / a0)
  }

  private static func highPass(_ rate: Double) -> Biquad {
    let k = tan(.pi * 38.13547087602444 / rate)
    let q = 0.5003270373238773
    let a0 = 1 + k / q + k * k
    return Biquad(b0: 1, b1: -2, b2: 1, a1: 2 * (k * k - 1) / a0, a2: (1 - k / q + k * k) / a0)
  }
}

/// The factor that brings audio from one loudness to another without its peak passing full scale.
///
/// - Parameters:
///   - measured: LUFS; nil (silence) gives 1.
///   - peak: largest magnitude.
public func loudnessGain(measured: Double?, target: Double, peak: Float) -> Float {
  guard let measured, peak > 0 else { return 1 }
  return min(Float(pow(10, (target - measured) / 20)), 1 / peak)
}
