import Audio
import Base

/// Samples a second of everything that is learned from.
let recordingRate = 44_100

/// A whole signal at another rate.
func resampled(_ samples: [Float], from: Int, to: Int) throws -> [Float] {
  guard from != to else { return samples }
  var resampler = try ReferenceResampler(from: from, to: to)
  return try resampler.all(samples)
}

/// A recording that is read in part: one channel, the mean of all, at 44,100 Hz.
struct Recording {
  private let file: AudioFile
  /// Its length in samples of the file.
  private let frames: Int
  /// Its length in samples at 44,100 Hz.
  let count: Int
  private let up: Int
  private let down: Int

  /// More of each channel is a damaged header.
  private static let lengthLimit = 1 << 40
  /// Zero crossings of the resampler's filter on each side, and a few more.
  private static let reach = 72

  /// - Throws: `badInput` when it is not whole audio or has none.
  init(path: String) throws {
    var file = try AudioFile(path: path)
    if let stated = file.frames {
      frames = stated
    } else {
      while try file.read(maxFrames: 1 << 16)[0].count > 0 {}
      frames = file.position
      file = try AudioFile(path: path)
    }
    guard (1..<Self.lengthLimit).contains(frames) else {
      throw Failure(
        .badInput, subject: path, problem: "it has no audio", remedy: "record or copy it again")
    }
    self.file = file
    let divisor = greatestCommonDivisor(file.rate, recordingRate)
    (up, down) = (recordingRate / divisor, file.rate / divisor)
    count = resampledCount(frames, up: up, down: down)
  }

  /// The samples that the whole recording would have there, fewer at its end. What lies far from them is
  /// not decoded.
  func samples(from start: Int, count wanted: Int) throws -> [Float] {
    let end = min(count, start + wanted)
    guard start < end else { return [] }
    // Begins where both rates have a sample at the same time.
    let margin = Self.reach * max(1, (down + up - 1) / up)
    let first = max(0, start / up * down - margin) / down * down
    let last = min(frames, (end / up + 1) * down + margin)
    try file.seek(to: first)
    let channels = try file.read(maxFrames: last - first)
    try checkFinite(channels, path: file.path, position: first)
    let result = try resampled(mono(channels), from: file.rate, to: recordingRate)
    let begin = start - first / down * up
    return Array(result.dropFirst(begin).prefix(end - start))
  }
}
