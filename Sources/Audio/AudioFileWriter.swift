import Base
import CSndfile
import Glibc

/// Writes an audio file through libsndfile, piece by piece. One thread at a time.
public final class AudioFileWriter {
  /// Container and codec of a file.
  public enum Format: String, Sendable, CaseIterable {
    /// WAV of 16-bit integers.
    case wav16
    /// WAV of 24-bit integers.
    case wav24
    /// WAV of 32-bit floating point.
    case wavFloat
    /// FLAC of 16 bits.
    case flac
    /// Ogg Vorbis.
    case vorbis
    /// Ogg Opus (8, 12, 16, 24 and 48 kHz only).
    case opus
    /// MPEG layer III.
    case mp3

    fileprivate var code: Int32 {
      let parts =
        switch self {
        case .wav16: (SF_FORMAT_WAV, SF_FORMAT_PCM_16)
        case .wav24: (SF_FORMAT_WAV, SF_FORMAT_PCM_24)
        case .wavFloat: (SF_FORMAT_WAV, SF_FORMAT_FLOAT)
        case .flac: (SF_FORMAT_FLAC, SF_FORMAT_PCM_16)
        case .vorbis: (SF_FORMAT_OGG, SF_FORMAT_VORBIS)
        case .opus: (SF_FORMAT_OGG, SF_FORMAT_OPUS)
        case .mp3: (SF_FORMAT_MPEG, SF_FORMAT_MPEG_LAYER_III)
        }
      return Int32(parts.0 | parts.1)
    }

    fileprivate var isInteger16: Bool { self == .wav16 || self == .flac }
  }

  private var handle: OpaquePointer?
  private let path: String
  private let channels: Int
  private let format: Format

  /// Creates a file, or writes to an open descriptor, which stays the caller's.
  ///
  /// - Parameters:
  ///   - path: the file; with `descriptor` only its name in messages.
  ///   - descriptor: seekable for WAV and FLAC.
  public init(
    path: String, descriptor: Int32? = nil, format: Format, rate: Int, channels: Int
  ) throws {
    self.path = path
    self.channels = channels
    self.format = format
    var info = SF_INFO()
    info.samplerate = Int32(clamping: rate)
    info.channels = Int32(clamping: channels)
    info.format = format.code
    guard sf_format_check(&info) != 0 else {
      throw Failure.cannotEncode(
        path, reason: "\(format.rawValue) with \(channels) channels at \(rate) Hz is not possible")
    }
    handle =
      if let descriptor { sf_open_fd(descriptor, Int32(SFM_WRITE), &info, 0) } else {
        sf_open(path, Int32(SFM_WRITE), &info)
      }
    guard let handle else {
      let code = errno
      if descriptor == nil, access(path, W_OK) != 0 {
        throw Failure.systemCall("create", path, writing: true, code: code == 0 ? EACCES : code)
      }
      throw Failure.cannotEncode(path, reason: String(cString: sf_strerror(nil)).lowercasedFirst)
    }
    // Samples beyond full scale are cut off, not wrapped around.
    _ = sf_command(handle, Int32(SFC_SET_CLIPPING), nil, 1)
  }

  deinit {
    if let handle { sf_close(handle) }
  }

  /// Writes samples, [channel][sample].
  public func write(_ samples: [[Float]]) throws {
    precondition(samples.count == channels, "as many channels as the file has")
    guard let handle, let count = samples.first?.count, count > 0 else { return }
    let interleaved = interleave(samples)
    let written =
      format.isInteger16
      ? int16Nearest(interleaved).withUnsafeBufferPointer {
        sf_writef_short(handle, $0.baseAddress, sf_count_t(count))
      }
      : interleaved.withUnsafeBufferPointer {
        sf_writef_float(handle, $0.baseAddress, sf_count_t(count))
      }
    guard written == sf_count_t(count) else {
      throw Failure.systemCall("write", path, writing: true, code: errno == 0 ? EIO : errno)
    }
  }

  /// Completes the file.
  public func finish() throws {
    guard let handle else { return }
    self.handle = nil
    guard sf_close(handle) == 0 else {
      throw Failure.systemCall("close", path, writing: true, code: errno == 0 ? EIO : errno)
    }
  }
}
