import Base
import Glibc

/// Writes WAV to a descriptor while the audio is being made.
///
/// The header goes out with the first audio. On a seekable output it is corrected at the end;
/// elsewhere its lengths are 0xFFFFFFFF, which readers take for "until it ends".
public struct WAVWriter {
  /// How samples are stored.
  public enum Encoding: Sendable {
    /// 16-bit integers, clamp(x, -1, 1) · 32767 toward zero.
    case int16
    /// 32-bit floating point.
    case float32
  }

  private let descriptor: Int32
  private let path: String
  private let rate: Int
  private let channels: Int
  private let encoding: Encoding
  /// Where the header stands; nil when the output cannot be corrected.
  private let start: off_t?
  private var headerWritten = false
  private var frames = 0

  /// A writer on an open descriptor.
  ///
  /// - Parameter path: the output's name in messages.
  public init(
    descriptor: Int32, path: String, rate: Int, channels: Int = 1, encoding: Encoding = .int16
  ) {
    self.descriptor = descriptor
    self.path = path
    self.rate = rate
    self.channels = channels
    self.encoding = encoding
    // pwrite on a file opened for appending would append.
    let flags = fcntl(descriptor, F_GETFL)
    let place = flags >= 0 && flags & O_APPEND == 0 ? lseek(descriptor, 0, SEEK_CUR) : -1
    start = place >= 0 ? place : nil
  }

  /// Writes one channel.
  public mutating func write(_ samples: [Float]) throws { try write([samples]) }

  /// Writes samples, [channel][sample]; the number of channels is the writer's.
  public mutating func write(_ samples: [[Float]]) throws {
    precondition(samples.count == channels, "as many channels as the file has")
    guard let count = samples.first?.count, count > 0 else { return }
    let interleaved = interleave(samples)
    frames += count
    var bytes = headerWritten ? [] : header(frames: nil)
    headerWritten = true
    switch encoding {
    case .int16: int16TowardZero(interleaved).withUnsafeBytes { bytes.append(contentsOf: $0) }
    case .float32: interleaved.withUnsafeBytes { bytes.append(contentsOf: $0) }
    }
    try bytes.withUnsafeBytes { try writeAll($0, to: descriptor, path: path) }
  }

  /// Corrects the header where that is possible; without audio writes one of length 0.
  public mutating func finish() throws {
    let final = header(frames: frames)
    guard headerWritten else {
      headerWritten = true
      return try final.withUnsafeBytes { try writeAll($0, to: descriptor, path: path) }
    }
    guard let start else { return }
    let written = final.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, start) }
    guard written == final.count else {
      throw Failure.systemCall("write", path, writing: true, code: errno)
    }
  }

  private func header(frames: Int?) -> [UInt8] {
    Self.header(rate: rate, channels: channels, encoding: encoding, frames: frames)
  }

  /// The bytes before the samples of a WAV file.
  ///
  /// - Parameter frames: samples of each channel; nil while that is not known.
  public static func header(
    rate: Int, channels: Int = 1, encoding: Encoding = .int16, frames: Int? = nil
  ) -> [UInt8] {
    let width = encoding == .int16 ? 2 : 4
    let unknown = Int(UInt32.max)
    let data = frames.map { $0 * channels * width } ?? unknown
    var bytes: [UInt8] = []
    func put(_ text: String) { bytes += Array(text.utf8) }
    func put(_ value: Int, _ size: Int) {
      let value = UInt32(clamping: value)
      for index in 0..<size { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
    }
    // Floating point carries the extension size and the fact chunk that the format asks for.
    let float = encoding == .float32
    put("RIFF")
    put(data + (float ? 50 : 36), 4)
    put("WAVEfmt ")
    put(float ? 18 : 16, 4)
    put(float ? 3 : 1, 2)
    put(channels, 2)
    put(rate, 4)
    put(rate * channels * width, 4)
    put(channels * width, 2)
    put(width * 8, 2)
    if float {
      put(0, 2)
      put("fact")
      put(4, 4)
      put(frames ?? unknown, 4)
    }
    put("data")
    put(data, 4)
    return bytes
  }
}

/// [channel][sample] to one row, sample by sample.
func interleave(_ channels: [[Float]]) -> [Float] {
  guard channels.count > 1, let count = channels.first?.count else { return channels.first ?? [] }
  let width = channels.count
  return [Float](unsafeUninitializedCapacity: count * width) { output, initialized in
    for (channel, samples) in channels.enumerated() {
      for frame in 0..<count {
        output.initializeElement(at: frame * width + channel, to: samples[frame])
      }
    }
    initialized = count * width
  }
}
