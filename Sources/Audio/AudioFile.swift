import Base
import CSndfile
import Glibc

/// An audio file that is decoded in pieces: WAV (integer and float), FLAC, Ogg Vorbis, Opus, MP3 and
/// whatever else libsndfile reads. One thread at a time.
public final class AudioFile {
  /// The file's path, as given.
  public let path: String
  /// Samples a second of each channel.
  public let rate: Int
  /// Channels.
  public let channels: Int
  /// Length in samples of each channel as the file states it; nil when it does not.
  public let frames: Int?
  /// The sample that `read` gives next.
  public private(set) var position = 0

  private let handle: OpaquePointer
  /// Whether the stated length is exact, so that less audio means a damaged file.
  private let lengthIsExact: Bool
  private var scratch: [Float] = []

  /// Opens a file and reads its header.
  ///
  /// - Throws: `noInput` when it cannot be opened, `badInput` when it is not whole audio.
  public convenience init(path: String) throws {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Failure.systemCall("open", path, code: errno) }
    try self.init(descriptor: descriptor, path: path)
  }

  /// Opens a file whose bytes came from elsewhere. They are kept in a file without a name.
  ///
  /// - Parameter name: what it is called in messages, and nothing else.
  public convenience init(bytes: [UInt8], name: String) throws {
    let file = try Self.namelessFile { descriptor, folder in
      try bytes.withUnsafeBytes { try writeAll($0, to: descriptor, path: folder) }
    }
    try self.init(descriptor: file, path: name)
  }

  /// Opens what a descriptor gives, a pipe for instance. Unless it is a file already, its bytes are first kept in a
  /// file without a name.
  ///
  /// - Parameters:
  ///   - prefix: bytes that were already read from it.
  ///   - name: what it is called in messages, and nothing else.
  ///   - waitToRead: called before each read, to wait for the descriptor in a way that a signal ends.
  public convenience init(
    readingFrom descriptor: Int32, prefix: [UInt8], name: String,
    waitToRead: (Int32) throws -> Void
  ) throws {
    var status = stat()
    if fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG {
      lseek(descriptor, 0, SEEK_SET)
      try self.init(descriptor: fcntl(descriptor, F_DUPFD_CLOEXEC, 3), path: name)
      return
    }
    let file = try Self.namelessFile { target, folder in
      try prefix.withUnsafeBytes { try writeAll($0, to: target, path: folder) }
      var buffer = [UInt8](repeating: 0, count: 1 << 18)
      while true {
        try waitToRead(descriptor)
        let count = buffer.withUnsafeMutableBytes {
          Glibc.read(descriptor, $0.baseAddress, $0.count)
        }
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else { throw Failure.systemCall("read", name, code: errno) }
        if count == 0 { return }
        try buffer.withUnsafeBytes {
          try writeAll(UnsafeRawBufferPointer(rebasing: $0[..<count]), to: target, path: folder)
        }
      }
    }
    try self.init(descriptor: file, path: name)
  }

  /// A file that goes when it is closed.
  ///
  /// - Parameter fill: writes its content; gets the name of its folder for messages.
  private static func namelessFile(
    _ fill: (_ descriptor: Int32, _ folder: String) throws -> Void
  ) throws -> Int32 {
    let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(folder)/tts-audio-XXXXXX".utf8CString)
    let descriptor = mkstemp(&template)
    guard descriptor >= 0 else {
      throw Failure.systemCall("create a file in", folder, writing: true, code: errno)
    }
    unlink(template)
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    do { try fill(descriptor, folder) } catch {
      close(descriptor)
      throw error
    }
    lseek(descriptor, 0, SEEK_SET)
    return descriptor
  }

  /// Reads the header of an open file, which is closed with this object.
  private init(descriptor: Int32, path: String) throws {
    self.path = path
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      let code = errno
      close(descriptor)
      throw Failure.systemCall("open", path, code: code)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw Failure.systemCall(
        "open", path, code: status.st_mode & S_IFMT == S_IFDIR ? EISDIR : ENXIO)
    }
    guard status.st_size > 0 else {
      close(descriptor)
      throw Failure.emptyFile(path)
    }
    do {
      try checkStatedLength(descriptor, size: Int(status.st_size), path: path)
    } catch {
      close(descriptor)
      throw error
    }
    var info = SF_INFO()
    // From here on libsndfile owns the descriptor, also when it fails. Without the name it cannot
    // guess a headerless format from the suffix.
    guard let handle = sf_open_fd(descriptor, Int32(SFM_READ), &info, 1) else {
      throw Failure.notAudio(path, reason: String(cString: sf_strerror(nil)).lowercasedFirst)
    }
    guard info.channels > 0, sampleRates.contains(Int(info.samplerate)) else {
      sf_close(handle)
      throw info.channels > 0
        ? Failure.rateOutOfRange(Int(info.samplerate)).about(path)
        : Failure.notAudio(path, reason: "no channels")
    }
    self.handle = handle
    rate = Int(info.samplerate)
    channels = Int(info.channels)
    let unknown = info.frames < 0 || info.frames >= sf_count_t.max / 2
    frames = unknown ? nil : Int(info.frames)
    let type = info.format & Int32(SF_FORMAT_TYPEMASK)
    lengthIsExact =
      !unknown
      && [SF_FORMAT_FLAC, SF_FORMAT_WAV, SF_FORMAT_WAVEX, SF_FORMAT_AIFF, SF_FORMAT_RF64]
        .contains { Int32($0) == type }
  }

  deinit { sf_close(handle) }

  /// Decodes the next samples.
  ///
  /// - Parameter maxFrames: the most samples of each channel to give; more than that is never
  ///   allocated, whatever the file claims.
  /// - Returns: [channel][sample], scaled to ±1; fewer than asked for only at the end, none after it.
  public func read(maxFrames: Int) throws -> [[Float]] {
    var result = [[Float]](repeating: [], count: channels)
    let chunk = max(1, min(65_536 / channels, maxFrames))
    if scratch.count < chunk * channels {
      scratch = [Float](repeating: 0, count: chunk * channels)
    }
    var rest = maxFrames
    while rest > 0 {
      let wanted = min(chunk, rest)
      let count = try decode(wanted)
      append(count, to: &result)
      position += count
      rest -= count
      if count < wanted { break }
    }
    return result
  }

  /// Moves to a sample.
  public func seek(to frame: Int) throws {
    guard frame != position else { return }
    guard sf_seek(handle, sf_count_t(frame), SEEK_SET) == sf_count_t(frame) else {
      throw Failure.damagedAudio(path, frame: frame, reason: "cannot seek there")
    }
    position = frame
  }

  private func decode(_ wanted: Int) throws -> Int {
    let count = scratch.withUnsafeMutableBufferPointer { buffer in
      Int(sf_readf_float(handle, buffer.baseAddress, sf_count_t(wanted)))
    }
    guard count >= 0, count <= wanted else {
      throw Failure.damagedAudio(path, frame: position, reason: "impossible length")
    }
    if count < wanted {
      if sf_error(handle) != 0 {
        throw Failure.damagedAudio(
          path, frame: position + count,
          reason: String(cString: sf_strerror(handle)).lowercasedFirst)
      }
      if lengthIsExact, let frames, position + count < frames {
        throw Failure.audioCutShort(
          path, detail: "\(position + count) of \(frames) samples could be read")
      }
    }
    return count
  }

  private func append(_ count: Int, to result: inout [[Float]]) {
    scratch.withUnsafeBufferPointer { source in
      for channel in 0..<channels {
        if channels == 1 {
          result[0].append(contentsOf: source[..<count])
          return
        }
        let stride = channels
        result[channel].reserveCapacity(result[channel].count + count)
        for frame in 0..<count { result[channel].append(source[frame * stride + channel]) }
      }
    }
  }
}

extension AudioFile {
  /// Decodes all that is left; for short files.
  public func readAll() throws -> [[Float]] {
    var result = [[Float]](repeating: [], count: channels)
    while true {
      let piece = try read(maxFrames: 1 << 16)
      guard let count = piece.first?.count, count > 0 else { return result }
      for channel in 0..<channels { result[channel].append(contentsOf: piece[channel]) }
    }
  }
}

/// Throws when a sample is infinite or not a number, as damaged float files hold.
///
/// - Parameter position: number of the first sample, for the message.
public func checkFinite(_ channels: [[Float]], path: String, position: Int) throws {
  for samples in channels {
    // The sum of finite samples below 2^100 is finite; only a suspicious one is searched.
    let sum = samples.withUnsafeBufferPointer { buffer in
      var sum = SIMD8<Float>()
      var index = 0
      let raw = UnsafeRawBufferPointer(buffer)
      while index + 8 <= buffer.count {
        sum += raw.loadUnaligned(fromByteOffset: index * 4, as: SIMD8<Float>.self)
        index += 8
      }
      var total = sum.sum()
      while index < buffer.count {
        total += buffer[index]
        index += 1
      }
      return total
    }
    if !sum.isFinite, let index = samples.firstIndex(where: { !$0.isFinite }) {
      throw Failure.sampleNotFinite(path, frame: position + index)
    }
  }
}

extension String {
  var lowercasedFirst: String {
    var text = self
    if text.hasSuffix(".") { text.removeLast() }
    return text.prefix(1).lowercased() + text.dropFirst()
  }
}

/// Suffixes of recordings that are looked for in folders.
private let audioSuffixes: Set<String> = [
  "wav", "wave", "flac", "ogg", "oga", "opus", "mp3", "aif", "aiff", "aifc", "au", "caf", "w64",
  "rf64", "sph",
]

/// Whether a file in a folder is taken for a recording, by its name.
public func isRecording(_ name: String) -> Bool {
  guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return false }
  return audioSuffixes.contains(name[name.index(after: dot)...].lowercased())
}
