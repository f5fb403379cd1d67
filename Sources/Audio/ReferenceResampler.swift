import Base

/// The resampler that the official package feeds its models with: a polyphase Kaiser filter (SciPy's
/// `resample_poly` with its defaults), float32, streaming; the same to the bit however the input is
/// cut.
public struct ReferenceResampler: Resampler, Sendable {
  private var engine: PolyphaseEngine

  /// A resampler from one rate to another, in hertz.
  ///
  /// - Throws: `badInput` for a rate outside `sampleRates`.
  public init(from: Int, to: Int) throws {
    for rate in [from, to] where !sampleRates.contains(rate) {
      throw Failure.rateOutOfRange(rate)
    }
    engine = PolyphaseEngine(try KaiserFilter.filters.between(from, to))
  }

  /// The output samples that these input samples complete.
  public mutating func process(_ samples: [Float]) -> [Float] { engine.process(samples) }

  /// The rest, with zeros after the last input sample.
  public mutating func finish() -> [Float] { engine.finish() }
}
