import Base
import Glibc

/// The first bytes of an input, by which it is known what it is. Whoever reads on must begin with them.
public struct InputPrefix: Sendable {
  /// Four bytes, or all that there are.
  public let bytes: [UInt8]

  /// Nothing was read yet.
  public init() { bytes = [] }

  /// Reads them from a descriptor; a signal ends the wait for them.
  ///
  /// - Parameter path: its name in messages.
  public init(of descriptor: Int32, path: String) throws {
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 4)
    while bytes.count < 4 {
      try Interruption.waitToRead(descriptor)
      let count = read(descriptor, &piece, 4 - bytes.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw Failure.systemCall("read", path, code: errno) }
      if count == 0 { break }
      bytes += piece[..<count]
    }
    self.bytes = bytes
  }

  /// Whether a record stream begins like this: with a zstd frame, or a skippable one.
  public var isRecordStream: Bool {
    bytes.count == 4
      && (bytes[1...] == [0x2A, 0x4D, 0x18] && bytes[0] & 0xF0 == 0x50
        || bytes == [0x28, 0xB5, 0x2F, 0xFD])
  }
}
