import Audio
import Base

/// What a room makes of an impulse.
struct RoomResponse: Sendable {
  /// Of one microphone, at the rate of `RoomResponse.rate`.
  let taps: [Double]
  /// Where the sound is that comes on the straight way.
  let direct: Int

  /// No file of one is larger, and none has more taps.
  private static let sizeLimit = 64 << 20
  private static let lengthLimit = 1 << 20

  /// - Throws: `badInput` for one that is silent, too long or not finite.
  init(taps: [Double], name: String) throws {
    func refuse(_ problem: String) -> Failure {
      Failure(
        .badInput, subject: name, problem: problem,
        remedy: "give the response of a room, a few seconds long")
    }
    guard taps.count <= Self.lengthLimit else {
      throw refuse("\(taps.count) samples are too many for a room response")
    }
    guard taps.allSatisfy(\.isFinite) else { throw refuse("a sample is not a finite number") }
    let loudest = taps.indices.max { abs(taps[$0]) < abs(taps[$1]) }
    guard let loudest, taps[loudest] != 0 else { throw refuse("the room response is silent") }
    self.taps = taps
    direct = loudest
  }

  /// Reads an array of NumPy, or of a recording its first channel: the mean of several would be heard as
  /// a comb filter.
  ///
  /// - Parameter asPackage: as the package takes it: integers are not scaled, the rate is 44,000 Hz.
  init(path: String, asPackage: Bool) throws {
    guard !path.lowercased().hasSuffix(".npy") else {
      let array = try NumPyArray(readFile(path, limit: Self.sizeLimit), name: path)
      let scale = array.kind == .int16 && !asPackage ? 0x1p-15 : 1
      try self.init(taps: array.values.map { $0 * scale }, name: path)
      return
    }
    let file = try AudioFile(path: path)
    let samples = try file.read(maxFrames: Self.lengthLimit)[0]
    guard try file.read(maxFrames: 1)[0].isEmpty else {
      throw Failure(
        .badInput, subject: path, problem: "it is too long for a room response",
        remedy: "cut it to a few seconds")
    }
    let taps = try resampled(
      samples, from: file.rate, to: asPackage ? Self.packageRate : recordingRate)
    try self.init(taps: taps.map(Double.init), name: path)
  }

  private static let packageRate = 44_000

  /// A signal of 44,100 Hz as it sounds in the room: as long as it was, and quieter where it would be
  /// louder than 0.99.
  ///
  /// The direct sound stays where it was. As the package does it, the middle of the convolution is taken, so
  /// that all is earlier by about half of the response.
  func apply(to samples: [Float], asPackage: Bool) -> [Float] {
    guard asPackage else {
      let heard = limited(
        convolution(samples.map(Double.init), taps, from: direct, count: samples.count))
      return heard.map { Float($0) }
    }
    let slower = TableResampler.resampled(
      samples.map(Double.init), from: recordingRate, to: Self.packageRate)
    let heard = limited(
      convolution(slower, taps, from: (taps.count - 1) / 2, count: slower.count))
    let result = TableResampler.resampled(heard, from: Self.packageRate, to: recordingRate)
    return samples.indices.map { $0 < result.count ? Float(result[$0]) : 0 }
  }

  private func limited(_ samples: [Double]) -> [Double] {
    let peak = samples.reduce(0) { max($0, abs($1)) }
    return peak > 0.99 ? samples.map { $0 / peak * 0.98 } : samples
  }
}
