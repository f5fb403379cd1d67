import Base
import Glibc
import Records

/// The records of all operands, one after another, read where `next()` is called.
///
/// It throws where the input is damaged, cut short or the upstream tool failed; parts of an id are
/// checked to be contiguous, in order and complete. Used from one thread at a time.
final class RecordCursor: @unchecked Sendable {
  private let paths: [String]
  private var reader: RecordReader?
  private var nextPath = 0
  /// The id whose parts are being read and the number of the next one.
  private var open: (id: String, part: Int)?

  /// The file that the last record came from; "standard input" for `-`.
  private(set) var path = "standard input"
  /// The header above the last record. It can change from record to record, where streams of
  /// different origin were joined.
  private(set) var header = StreamHeader()
  /// The sum of the digests in any order of all streams read to their end.
  /// Whether any header was read yet.
  private(set) var hasHeader = false
  /// The abort trailer that was met.
  private(set) var upstreamAbort: Abort?
  private(set) var digest = SHA256Digest.zero
  /// Bytes of files read to their end, and of all files; the latter 0 if one is a pipe.
  private(set) var bytesDone = 0
  let bytesTotal: Int

  /// Files in order; "-" is standard input.
  init(paths: [String]) throws {
    self.paths = paths
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

  /// The next record; nil at the end of the last file.
  func next() throws -> Record? {
    while true {
      if reader == nil {
        guard nextPath < paths.count else { return nil }
        path = paths[nextPath] == "-" ? "standard input" : paths[nextPath]
        reader = try RecordReader(path: paths[nextPath])
        nextPath += 1
        header = reader?.header ?? header
        hasHeader = true
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
