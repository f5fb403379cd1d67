import Base
import CSndfile
import Glibc

/// FLAC in memory, for records whose `audio` is compressed.
public enum FLAC {
  /// The most samples, over all channels, that are decoded from one array: what a record of 64 MiB
  /// holds as float32. Silence compresses several thousand times.
  public static let maximumSamples = 1 << 24

  /// Encodes 16-bit FLAC; samples are rounded to x · 32768, so 16-bit sources keep every bit.
  ///
  /// - Parameter channels: [channel][sample], 1 to 8 channels of one length, not empty: FLAC without
  ///   samples does not exist.
  public static func encode(_ channels: [[Float]], rate: Int) throws -> [UInt8] {
    let count = channels.first?.count ?? 0
    guard count > 0 else { throw Failure.cannotEncode("audio", reason: "it has no samples") }
    let memory = MemoryFile([])
    var info = SF_INFO()
    info.samplerate = Int32(clamping: rate)
    info.channels = Int32(clamping: channels.count)
    info.format = Int32(SF_FORMAT_FLAC | SF_FORMAT_PCM_16)
    guard channels.count <= 8, sf_format_check(&info) != 0 else {
      throw Failure.cannotEncode(
        "audio", reason: "FLAC with \(channels.count) channels at \(rate) Hz is not possible")
    }
    try memory.open(SFM_WRITE, &info) { handle, _ in
      guard let handle else {
        throw Failure.cannotEncode(
          "audio", reason: String(cString: sf_strerror(nil)).lowercasedFirst)
      }
      let written = int16Nearest(interleave(channels)).withUnsafeBufferPointer {
        sf_writef_short(handle, $0.baseAddress, sf_count_t(count))
      }
      let closed = sf_close(handle)
      guard written == sf_count_t(count), closed == 0 else {
        throw Failure.cannotEncode("audio", reason: "the encoder failed")
      }
    }
    return memory.bytes
  }

  /// Decodes FLAC bytes.
  ///
  /// - Returns: [channel][sample], scaled to ±1, and the sample rate.
  /// - Throws: `badInput` for anything that is not whole FLAC of at most `maximumSamples`.
  public static func decode(_ bytes: [UInt8]) throws -> (channels: [[Float]], rate: Int) {
    guard bytes.starts(with: Array("fLaC".utf8)) else {
      throw Failure.notAudio("audio", reason: "the bytes are not FLAC")
    }
    let memory = MemoryFile(bytes)
    var info = SF_INFO()
    return try memory.open(SFM_READ, &info) { handle, info in
      guard let handle else {
        throw Failure.notAudio("audio", reason: String(cString: sf_strerror(nil)).lowercasedFirst)
      }
      defer { sf_close(handle) }
      let width = Int(info.channels)
      guard width > 0, info.frames >= 0, info.frames <= sf_count_t(maximumSamples / width) else {
        throw Failure.audioCutShort("audio", detail: "\(info.frames) samples are claimed")
      }
      let claimed = Int(info.frames)
      var channels = [[Float]](repeating: [], count: width)
      var chunk = [Float](repeating: 0, count: 8192 * width)
      var position = 0
      while position < claimed {
        let count = Int(
          chunk.withUnsafeMutableBufferPointer { sf_readf_float(handle, $0.baseAddress, 8192) })
        guard count > 0 else { break }
        for channel in 0..<width {
          for frame in 0..<count { channels[channel].append(chunk[frame * width + channel]) }
        }
        position += count
      }
      guard position == claimed, sf_error(handle) == 0 else {
        throw Failure.audioCutShort("audio", detail: "\(position) of \(claimed) samples are there")
      }
      return (channels, Int(info.samplerate))
    }
  }
}

/// Bytes that libsndfile reads and writes as a file.
private final class MemoryFile {
  var bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  func open<Result>(
    _ mode: Int, _ info: inout SF_INFO, _ body: (OpaquePointer?, SF_INFO) throws -> Result
  ) rethrows -> Result {
    var calls = SF_VIRTUAL_IO(
      get_filelen: { user in sf_count_t(MemoryFile.from(user)?.bytes.count ?? 0) },
      seek: { offset, whence, user in MemoryFile.from(user)?.seek(Int(offset), whence) ?? -1 },
      read: { target, count, user in MemoryFile.from(user)?.read(target, Int(count)) ?? 0 },
      write: { source, count, user in MemoryFile.from(user)?.write(source, Int(count)) ?? 0 },
      tell: { user in sf_count_t(MemoryFile.from(user)?.position ?? 0) })
    return try withExtendedLifetime(self) {
      let user = Unmanaged.passUnretained(self).toOpaque()
      let handle = sf_open_virtual(&calls, Int32(mode), &info, user)
      return try body(handle, info)
    }
  }

  private static func from(_ user: UnsafeMutableRawPointer?) -> MemoryFile? {
    user.map { Unmanaged<MemoryFile>.fromOpaque($0).takeUnretainedValue() }
  }

  private func seek(_ offset: Int, _ whence: Int32) -> sf_count_t {
    let base = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? position : bytes.count
    let (target, overflow) = base.addingReportingOverflow(offset)
    guard !overflow, target >= 0, target <= bytes.count else { return -1 }
    position = target
    return sf_count_t(position)
  }

  private func read(_ target: UnsafeMutableRawPointer?, _ count: Int) -> sf_count_t {
    let available = max(0, min(count, bytes.count - position))
    guard let target, available > 0 else { return 0 }
    bytes.withUnsafeBytes { source in
      UnsafeMutableRawBufferPointer(start: target, count: available)
        .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[position..<position + available]))
    }
    position += available
    return sf_count_t(available)
  }

  private func write(_ source: UnsafeRawPointer?, _ count: Int) -> sf_count_t {
    guard let source, count > 0 else { return 0 }
    let new = UnsafeRawBufferPointer(start: source, count: count)
    let overlap = min(count, bytes.count - position)
    bytes.replaceSubrange(position..<position + overlap, with: new)
    position += count
    return sf_count_t(count)
  }
}
