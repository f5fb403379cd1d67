import Base
import CSamplerate

/// libsamplerate's best band-limited interpolation, streaming: the default of `tts-resample`.
///
/// Between two fixed rates that filter repeats itself, so its coefficients are taken from the library
/// once and run as a polyphase filter, some fifty times faster; only for odd pairs of rates, whose
/// table would be large, the library itself does the work. The output is aligned with the input, has
/// ceil(samples · to / from) samples and does not depend on how the input was cut.
public struct SincResampler: Resampler, Sendable {
  private enum Way {
    case table(PolyphaseEngine)
    case library(LibraryResampler)
  }
  private var way: Way

  /// A resampler from one rate to another, in hertz.
  ///
  /// - Throws: `badInput` for rates that are out of range or more than a factor 256 apart.
  public init(from: Int, to: Int) throws {
    try self.init(from: from, to: to, largestTable: 640)
  }

  init(from: Int, to: Int, largestTable: Int) throws {
    for rate in [from, to] where !sampleRates.contains(rate) {
      throw Failure.rateOutOfRange(rate)
    }
    guard src_is_valid_ratio(Double(to) / Double(from)) != 0 else {
      throw Failure.ratioOutOfRange(from: from, to: to)
    }
    let divisor = greatestCommonDivisor(from, to)
    let (up, down) = (to / divisor, from / divisor)
    way =
      max(up, down) <= largestTable
      ? .table(PolyphaseEngine(try SincFilter.filters.between(from, to)))
      : .library(try LibraryResampler(up: up, down: down))
  }

  /// The output samples that these input samples complete.
  public mutating func process(_ samples: [Float]) throws -> [Float] {
    switch way {
    case .library(let resampler): return try resampler.process(samples)
    case .table(var engine):
      // Two owners would make each change a copy.
      way = .table(PolyphaseEngine.idle)
      defer { way = .table(engine) }
      return engine.process(samples)
    }
  }

  /// The rest, with zeros after the last input sample.
  public mutating func finish() throws -> [Float] {
    switch way {
    case .library(let resampler): return try resampler.finish()
    case .table(var engine):
      defer { way = .table(engine) }
      return engine.finish()
    }
  }
}
