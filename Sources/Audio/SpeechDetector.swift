import Base
import Glibc

/// Tells speech from background by energy over an adapting noise floor: streaming, one channel.
///
/// Every 10 ms the energy of the 30 ms around it (above 80 Hz) is compared with the noise floor: the
/// 5th percentile of these energies over the 8 s around, digital silence left out. A frame is speech
/// when it stands `threshold` dB over the floor, and stays speech until it falls 3 dB lower
/// (half the threshold where that is less). Sound that does not vary is therefore background.
public struct SpeechDetector: Sendable {
  /// Frames a second.
  public static let frameRate = 100

  /// Decision on one frame of 10 ms.
  public struct Frame: Sendable, Equatable {
    /// Whether it is speech.
    public var isSpeech: Bool
    /// Energy in dB of full scale.
    public var level: Float
  }

  private static let half = 400
  private static let window = 2 * half
  /// Energies below this are digital silence: no part of the floor, never speech.
  private static let digitalSilence = -100.0
  /// The floor is never taken to be lower: 16-bit noise is not speech.
  private static let lowestFloor: Float = -75
  private static let binsPerDecibel = 4
  private static let binCount = 120 * binsPerDecibel

  private let rate: Int
  private let enter: Float
  private let leave: Float
  private var filter: Biquad
  private var samples = 0
  private var energy = 0.0
  private var count = 0
  private var frames = 0
  /// Powers of the last two frames.
  private var previous: (Double?, Double?) = (nil, nil)
  /// Levels whose decision is open, and the levels inside the window.
  private var open: [Float] = []
  private var recent: [Float] = []
  private var histogram = [Int](repeating: 0, count: binCount)
  private var inHistogram = 0
  private var levels = 0
  private var isSpeech = false

  /// A detector for audio of one rate.
  ///
  /// - Parameter threshold: dB over the noise floor.
  /// - Throws: `badInput` for a rate outside `sampleRates`.
  public init(rate: Int, threshold: Double) throws {
    guard sampleRates.contains(rate) else { throw Failure.rateOutOfRange(rate) }
    self.rate = rate
    enter = Float(threshold)
    leave = Float(threshold - min(3, threshold / 2))
    filter = .highPass(80, rate: Double(rate))
  }

  /// The sample at which a frame begins.
  public func sample(ofFrame frame: Int) -> Int { frame * rate / Self.frameRate }

  /// Frames decided by these samples, in order from the first of the recording.
  public mutating func process(_ input: [Float]) -> [Frame] {
    var result: [Frame] = []
    var index = 0
    while index < input.count {
      let end = sample(ofFrame: frames + 1)
      let piece = min(input.count - index, end - samples)
      energy += filtered(input, index..<index + piece)
      index += piece
      samples += piece
      count += piece
      if samples == end { closeFrame(&result) }
    }
    return result
  }

  /// The frames that are left; a last frame shorter than 10 ms counts.
  public mutating func finish() -> [Frame] {
    var result: [Frame] = []
    if count > 0 { closeFrame(&result) }
    if let last = previous.1 {
      smooth((previous.0 ?? last) + last + last, &result)
      previous = (nil, nil)
    }
    for level in open { result.append(decide(level)) }
    open = []
    return result
  }

  private mutating func filtered(_ input: [Float], _ range: Range<Int>) -> Double {
    var local = filter
    var sum = 0.0
    input.withUnsafeBufferPointer { input in
      for index in range {
        let y = local.step(Double(input[index]))
        sum += y * y
      }
    }
    filter = local
    return sum
  }

  private mutating func closeFrame(_ result: inout [Frame]) {
    let power = energy / Double(count)
    frames += 1
    (energy, count) = (0, 0)
    // The frame before is complete now that its right neighbour is known.
    if let middle = previous.1 { smooth((previous.0 ?? middle) + middle + power, &result) }
    previous = (previous.1, power)
  }

  /// Takes the level of the next frame and decides the one half a window back.
  private mutating func smooth(_ sum: Double, _ result: inout [Frame]) {
    let level = Float(10 * log10(sum / 3 + 1e-13))
    open.append(level)
    recent.append(level)
    add(level, 1)
    if recent.count > Self.window + Self.half {
      recent.removeFirst(Self.half)
    }
    levels += 1
    guard levels >= Self.window else { return }
    if levels > Self.window { add(recent[recent.count - 1 - Self.window], -1) }
    let ready = open.count - Self.half
    guard ready > 0 else { return }
    for level in open.prefix(ready) { result.append(decide(level)) }
    open.removeFirst(ready)
  }

  private mutating func add(_ level: Float, _ change: Int) {
    guard Double(level) > Self.digitalSilence else { return }
    let bin = Int((level + 100) * Float(Self.binsPerDecibel))
    histogram[max(0, min(Self.binCount - 1, bin))] += change
    inHistogram += change
  }

  private mutating func decide(_ level: Float) -> Frame {
    let over = level - floor
    isSpeech = over >= (isSpeech ? leave : enter) && Double(level) > Self.digitalSilence
    return Frame(isSpeech: isSpeech, level: level)
  }

  private var floor: Float {
    let wanted = inHistogram / 20
    var passed = 0
    for bin in 0..<Self.binCount {
      passed += histogram[bin]
      if passed > wanted {
        return max(Self.lowestFloor, (Float(bin) + 0.5) / Float(Self.binsPerDecibel) - 100)
      }
    }
    return Self.lowestFloor
  }
}
