import Base
import Glibc

/// How far the sound of speech is from that of a recording of the same words: the log-spectral distance
/// over 80 mel bands, in dB.
///
/// Both signals are brought to the same power, since a level is no matter of quality. Frames of 40 ms
/// (Hann) every 20 ms become levels of 80 mel bands in dB, not below 80 dB under the loudest band of the
/// recording. The frames are aligned by dynamic time warping; the distance of two frames is the root mean
/// square of the differences over the bands, and the result its mean along the path.
public struct SpectralDistance: Sendable {
  private static let bands = 80
  private static let range = 80.0
  private let spectrum: MelSpectrum

  /// A measure for signals of one rate.
  ///
  /// - Throws: `badInput` for a rate outside `sampleRates`.
  public init(rate: Int) throws {
    guard sampleRates.contains(rate) else { throw Failure.rateOutOfRange(rate) }
    spectrum = MelSpectrum(rate: rate, bands: Self.bands, window: rate / 25, hop: rate / 50)
  }

  /// The distance in dB.
  ///
  /// - Returns: nil when one of the signals is without sound, or when they are too long to be aligned
  ///   (``DynamicTimeWarping/mostPairs``: some minutes).
  public func distance(_ speech: [Float], from recording: [Float]) -> Double? {
    guard let power = meanPower(speech), let expected = meanPower(recording) else { return nil }
    let reference = spectrum.frames(of: recording)
    guard let loudest = reference.lazy.map({ $0.max() ?? 0 }).max(), loudest > 0 else { return nil }
    let floor = loudest * pow(10, -Self.range / 10)
    func levels(_ frames: [[Double]], _ gain: Double) -> [Float] {
      frames.flatMap { $0.map { Float(10 * log10(max(gain * $0, floor))) } }
    }
    return DynamicTimeWarping.distance(
      levels(spectrum.frames(of: speech), expected / power), levels(reference, 1),
      width: Self.bands)
  }

  private func meanPower(_ samples: [Float]) -> Double? {
    let energy = samples.reduce(0.0) { $0 + Double($1) * Double($1) }
    return energy > 0 ? energy / Double(samples.count) : nil
  }
}

/// The level of a signal in dB of full scale: its root mean square, where a square wave from -1 to 1 has
/// 0 dB. Nil where there is no sound at all.
public func rootMeanSquareLevel(_ samples: [Float]) -> Double? {
  let energy = samples.reduce(0.0) { $0 + Double($1) * Double($1) }
  return energy > 0 ? 10 * log10(energy / Double(samples.count)) : nil
}
