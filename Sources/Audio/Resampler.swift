/// Changes the sample rate of one channel that arrives in pieces.
///
/// All that is given out together has ceil(samples · to / from) samples and does not depend on how the
/// input was cut.
public protocol Resampler {
  /// The samples that can be computed after these.
  mutating func process(_ samples: [Float]) throws -> [Float]
  /// The rest; the resampler is used up afterwards.
  mutating func finish() throws -> [Float]
}

extension Resampler {
  /// Resamples the only piece there is.
  public mutating func all(_ samples: [Float]) throws -> [Float] {
    try process(samples) + finish()
  }
}

/// ceil(count · up / down) without overflow for any count that fits in memory.
public func resampledCount(_ count: Int, up: Int, down: Int) -> Int {
  let (whole, rest) = count.quotientAndRemainder(dividingBy: down)
  return whole * up + (rest * up + down - 1) / down
}
