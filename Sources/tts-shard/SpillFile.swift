import Base
import Glibc

/// A temporary file that is written at its end and read anywhere: room for what does not fit into
/// memory. It has no name that looks like a result, and goes when the program ends.
final class SpillFile {
  private let path: String
  private let descriptor: Int32
  private var buffer: [UInt8] = []
  /// Bytes added so far.
  private(set) var count = 0

  /// Makes an empty file.
  init(path: String) throws {
    self.path = path
    let created = TemporaryFiles.create(path, access: O_RDWR, mode: 0o600)
    descriptor = created.descriptor
    guard descriptor >= 0 else {
      throw Failure.systemCall("create", path, writing: true, code: created.code)
    }
  }

  deinit {
    close(descriptor)
    unlink(path)
    TemporaryFiles.remove(path)
  }

  /// Adds bytes at the end.
  func append(_ bytes: some Collection<UInt8>) throws {
    buffer += bytes
    count += bytes.count
    if buffer.count >= 1 << 18 { try flush() }
  }

  /// Hands what was added to the system.
  func flush() throws {
    try buffer.withUnsafeBytes { try writeAll($0, to: descriptor, path: path) }
    buffer.removeAll()
  }

  /// Bytes of a range; everything up to its end must have been flushed.
  func read(_ range: Range<Int>) throws -> [UInt8] {
    var failure: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: range.count) { target, filled in
      while filled < range.count {
        let got = pread(
          descriptor, target.baseAddress?.advanced(by: filled), range.count - filled,
          range.lowerBound + filled)
        if got < 0, errno == EINTR { continue }
        guard got > 0 else {
          failure = got < 0 ? errno : EIO
          return
        }
        filled += got
      }
    }
    guard failure == 0 else { throw Failure.systemCall("read", path, code: failure) }
    return bytes
  }

  /// Drops all content.
  func removeAll() throws {
    buffer.removeAll()
    count = 0
    guard ftruncate(descriptor, 0) == 0, lseek(descriptor, 0, SEEK_SET) == 0 else {
      throw Failure.systemCall("write", path, writing: true, code: errno)
    }
  }
}

extension [UInt8] {
  /// A number as its bytes, least significant first.
  static func littleEndian(_ number: Int) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
  }

  /// The number at a place, least significant byte first.
  func number(at index: Int) -> Int {
    (0..<8).reduce(0) { $0 | Int(self[index + $1]) << (8 * $1) }
  }
}
