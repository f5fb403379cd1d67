import Base
import Glibc

/// Bytes from a descriptor, buffered; the buffer grows with what arrives, never with what is announced.
struct ByteSource: ~Copyable {
  private let descriptor: Int32
  private let path: String
  private let ownsDescriptor: Bool
  private let waitToRead: ((Int32) throws -> Void)?
  private var buffer: [UInt8] = []
  private var start = 0
  private(set) var isAtEnd = false
  /// Bytes of the stream before the buffered ones.
  private(set) var offset = 0

  /// Bytes asked for at a time.
  private static let chunk = 1 << 20

  /// - Parameters:
  ///   - prefix: bytes that were already read from the descriptor.
  ///   - waitToRead: called before each read.
  init(
    descriptor: Int32, path: String, ownsDescriptor: Bool, prefix: [UInt8],
    waitToRead: ((Int32) throws -> Void)?
  ) {
    self.waitToRead = waitToRead
    self.descriptor = descriptor
    buffer = prefix
    self.path = path
    self.ownsDescriptor = ownsDescriptor
  }

  deinit { if ownsDescriptor { close(descriptor) } }

  /// Bytes that have arrived and were not dropped.
  var count: Int { buffer.count - start }

  /// Lends the bytes that have arrived.
  func withBytes<Result>(
    _ body: (UnsafeRawBufferPointer) throws -> Result
  ) rethrows -> Result {
    try buffer.withUnsafeBytes { try body($0.piece(start..<$0.count)) }
  }

  /// Takes the first bytes.
  mutating func take(_ count: Int) -> [UInt8] {
    let bytes = Array(buffer[start..<start + count])
    start += count
    offset += count
    return bytes
  }

  /// Whether reading would not wait.
  func isReady() -> Bool {
    var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&request, 1, 0) != 0
  }

  /// Waits for more bytes, or the end.
  mutating func readMore() throws {
    try waitToRead?(descriptor)
    if start > 0 {
      buffer.removeFirst(start)
      start = 0
    }
    let old = buffer.count
    // Nothing but the bytes that arrive is initialised: the rest of the room is cut off again.
    let room = max(Self.chunk, min(old, 16 * Self.chunk))
    var code = 0
    let piece = [UInt8](unsafeUninitializedCapacity: room) { target, filled in
      repeat { code = read(descriptor, target.baseAddress, room) } while code < 0 && errno == EINTR
      filled = max(code, 0)
    }
    guard code >= 0 else { throw Failure.systemCall("read", path, code: errno) }
    if code == 0 {
      isAtEnd = true
    } else if old == 0 {
      buffer = piece
    } else {
      buffer += piece
    }
  }
}
