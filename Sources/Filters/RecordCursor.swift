import Base
import Glibc
import Records

/// The records of all operands, one after another, read where `next()` is called.
///
/// It throws where the input is damaged, cut short or the upstream tool failed; parts of an id are
/// checked to be contiguous, in order and complete. Used from one thread at a time.
final class RecordCursor: @unchecked Sendable {
  private let paths: [String]
  private let form: InputForm
  /// What was read of standard input before.
  private var prefix: InputPrefix?
  private var reader: RecordReader?
  /// The lines of an input that is plain text, and what makes records of them.
  private var lines: TextLines?
  private var texts: TextRecords?
  private var nextPath = 0
  /// The id whose parts are being read and the number of the next one.
  private var open: (id: String, part: Int)?

  /// The file that the last record came from; "standard input" for `-`.
  private(set) var path = "standard input"
  /// The number of the line that the last record of an input of text came from.
  var line: Int? { lines?.number }
  /// The header above the last record. It can change from record to record, where streams of
  /// different origin were joined.
  private(set) var header = StreamHeader()
  /// Whether any header was read yet.
  private(set) var hasHeader = false
  /// The abort trailer that was met.
  private(set) var upstreamAbort: Abort?
  /// The sum of the digests in any order of all streams read to their end.
  private(set) var digest = SHA256Digest.zero
  /// Bytes of files read to their end, and of all files; the latter 0 if one is a pipe.
  private var bytesDone = 0
  private let bytesTotal: Int

  /// Which share of all input was read; nil where that cannot be known.
  var share: Double? {
    guard bytesTotal > 0 else { return nil }
    return min(1, Double(bytesDone + (reader?.bytesRead ?? 0)) / Double(bytesTotal))
  }

  /// Files in order; "-" is standard input.
  ///
  /// - Parameters:
  ///   - form: what the inputs may be.
  ///   - prefix: what was read of standard input to see what it is.
  init(paths: [String], form: InputForm = .records, prefix: InputPrefix? = nil) throws {
    self.paths = paths
    self.form = form
    self.prefix = prefix
    texts = form.text.map { TextRecords($0) }
    var sizes: [Int] = []
    for path in paths where path != "-" {
      var status = stat()
      guard access(path, R_OK) == 0, stat(path, &status) == 0 else {
        throw Failure.systemCall("open", path, code: errno)
      }
      guard status.st_mode & S_IFMT != S_IFDIR else {
        throw Failure.systemCall("open", path, code: EISDIR)
      }
      if status.st_mode & S_IFMT == S_IFREG { sizes.append(Int(status.st_size)) }
    }
    bytesTotal = sizes.count == paths.count ? sizes.reduce(0, +) : 0
    if paths.contains("-"), isatty(STDIN_FILENO) == 1 { throw Failure.terminalInput }
  }

  /// Opens the next input and sees by its first bytes what it is: streams begin with a zstd frame.
  private func openNext() throws {
    let name = paths[nextPath]
    nextPath += 1
    path = name == "-" ? "standard input" : name
    guard form.text != nil else {
      if name == "-", let prefix {
        self.prefix = nil
        reader = try RecordReader(descriptor: STDIN_FILENO, path: path, prefix: prefix.bytes)
      } else {
        reader = try RecordReader(path: name)
      }
      return
    }
    guard form.acceptsRecords else {
      lines = try TextLines(paths: [name], limit: 1 << 20)
      return
    }
    let descriptor = name == "-" ? STDIN_FILENO : Glibc.open(name, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Failure.systemCall("open", name, code: errno) }
    let prefix = try InputPrefix(of: descriptor, path: path)
    // Nothing at all is no text: an upstream that died early must not pass for an empty one. A file
    // that is called a stream is damaged if it is none.
    if prefix.bytes.isEmpty || name.hasSuffix(".ttsr") || prefix.isRecordStream {
      reader = try RecordReader(
        descriptor: descriptor, path: path, ownsDescriptor: descriptor != STDIN_FILENO,
        prefix: prefix.bytes)
    } else {
      lines = TextLines(descriptor: descriptor, path: path, prefix: prefix.bytes)
    }
  }

  /// The next record; nil at the end of the last file.
  func next() throws -> Record? {
    while true {
      if let lines {
        if let record = try texts?.next(lines) {
          digest = digest + SHA256Digest(of: try record.encoded())
          return record
        }
        self.lines = nil
      }
      if reader == nil {
        guard nextPath < paths.count else { return nil }
        try openNext()
        hasHeader = true
        if lines != nil {
          header = StreamHeader()
          continue
        }
        header = reader?.header ?? header
      }
      guard let reader else { return nil }
      do {
        if let record = try reader.next() {
          header = reader.header
          try check(record)
          return record
        }
      } catch let failure as Failure {
        upstreamAbort = reader.upstreamAbort
        throw failure.about(path)
      }
      header = reader.header
      if let open { throw Failure.missingLastPart(path, id: open.id) }
      digest = digest + reader.inputDigest
      bytesDone += fileSize(paths[nextPath - 1])
      self.reader = nil
    }
  }

  private func fileSize(_ path: String) -> Int {
    var status = stat()
    return bytesTotal > 0 && stat(path, &status) == 0 ? Int(status.st_size) : 0
  }

  /// Parts of an id are contiguous and in order: filters with state rely on it.
  private func check(_ record: Record) throws {
    let id = record.id
    if let open, open.id != id { throw Failure.missingLastPart(path, id: open.id) }
    if let part = record.part {
      guard part == (open?.part ?? 0) else {
        throw Failure.scatteredParts(path, id: id, part: part, expected: open?.part)
      }
      open = record.isLastPart ? nil : (id, part + 1)
    } else if let open {
      throw Failure.missingLastPart(path, id: open.id)
    }
  }
}
