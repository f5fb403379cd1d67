import Base

/// The resampler that a model's official package feeds it with: a polyphase Kaiser filter, float32,
/// streaming; the same to the bit however the input is cut.
public struct ReferenceResampler: Resampler, Sendable {
  /// Whose filter it is.
  public enum Filter: Sendable, Hashable {
    /// SciPy's `resample_poly` with its defaults: Pocket TTS.
    case scipy
    /// torchaudio's `resample` with a long Kaiser window: Resemble-Enhance.
    case torchaudio
  }

  private var engine: PolyphaseEngine
  /// Coefficients of odd pairs of rates, beyond what recordings have.
  private static let largestTable = 1 << 24

  /// A resampler from one rate to another, in hertz.
  ///
  /// - Throws: `badInput` for a rate outside `sampleRates`, and for two whose table would be very large.
  public init(from: Int, to: Int, filter: Filter = .scipy) throws {
    for rate in [from, to] where !sampleRates.contains(rate) {
      throw Failure.rateOutOfRange(rate)
    }
    switch filter {
    case .scipy: engine = PolyphaseEngine(try KaiserFilter.scipy.between(from, to))
    case .torchaudio:
      // Two reaches of 64 zeros at the lower rate, for each phase.
      let divisor = greatestCommonDivisor(from, to)
      guard 136 * max(from, to) / divisor <= Self.largestTable else {
        throw Failure.ratioOutOfRange(from: from, to: to)
      }
      engine = PolyphaseEngine(try KaiserFilter.torchaudio.between(from, to))
    }
  }

  /// The output samples that these input samples complete.
  public mutating func process(_ samples: [Float]) -> [Float] { engine.process(samples) }

  /// The rest, with zeros after the last input sample.
  public mutating func finish() -> [Float] { engine.finish() }
}
