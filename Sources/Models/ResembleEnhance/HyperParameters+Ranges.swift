import Base

extension HyperParameters {
  /// The value of a key as a number that must lie in a range.
  ///
  /// - Parameter file: where it stands, for messages.
  /// - Throws: `configuration` where it does not.
  func number(_ key: String, in range: ClosedRange<Double>, file: String) throws -> Double {
    let value: Double =
      switch self[key] {
      case .whole(let number): Double(number)
      case .number(let number): number
      default: .nan
      }
    guard range.contains(value) else {
      throw Failure.configuration(
        file, "'\(key)' is \(text(key))",
        range.lowerBound == range.upperBound
          ? "it can be \(range.lowerBound) alone"
          : "give a number from \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  /// Refuses constants of the signal that the networks cannot be computed with, before anything is.
  ///
  /// - Parameter file: where they stand, for messages.
  /// - Throws: `configuration`.
  func requireComputable(file: String) throws {
    let rate = Double(recordingRate)
    _ = try number("wav_rate", in: rate...rate, file: file)
    // The vocoder's strides make so many samples of a frame.
    let hop = Double(Vocoder.hop)
    _ = try number("hop_size", in: hop...hop, file: file)
    guard part == .enhancer else { return }
    let size = try number("n_fft", in: 2...65536, file: file)
    _ = try number("win_size", in: 1...size, file: file)
    guard whole("n_fft").isMultiple(of: 2) else {
      throw Failure.configuration(file, "'n_fft' is \(text("n_fft"))", "give an even number")
    }
    guard self["lcfm_training_mode"] == .text("cfm") else { return }
    _ = try number("lcfm_z_scale", in: 1e-3...1e3, file: file)
    _ = try number("cfm_time_mapping_divisor", in: 2...100, file: file)
  }
}
