/// The table at the end of a segment, as zstd's seekable format has it: all frames of the segment,
/// header and trailer included (with a decompressed size of 0).
struct SeekTable: Sendable, Equatable {
  struct Entry: Sendable, Equatable {
    var compressed: UInt32
    var decompressed: UInt32
    /// Low 32 bits of XXH64 of the decompressed bytes.
    var checksum: UInt32
  }
  var entries: [Entry] = []

  /// The most frames in one segment: 4 TiB of records.
  static let frameLimit = 1 << 20
  /// Bytes at the end: count, descriptor, magic.
  static let footerSize = 9
  static let footerMagic: UInt32 = 0x8F92_EAB1
  /// Checksums are there; the other bits are 0.
  static let descriptor: UInt8 = 0x80

  /// Bytes of the whole frame.
  static func size(frames: Int) -> Int { 8 + 12 * frames + footerSize }

  /// The checksum of nothing, which entries of header and trailer hold.
  static let emptyChecksum = checksum(UnsafeRawBufferPointer(start: nil, count: 0))

  mutating func append(frame length: Int, contentSize: Int, checksum: UInt32) {
    entries.append(
      Entry(
        compressed: UInt32(length), decompressed: UInt32(contentSize), checksum: checksum))
  }

  /// The table as a skippable frame.
  var frame: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(SeekTable.size(frames: entries.count))
    bytes.appendLittleEndian(FrameKind.table.magic)
    bytes.appendLittleEndian(UInt32(SeekTable.size(frames: entries.count) - 8))
    for entry in entries {
      bytes.appendLittleEndian(entry.compressed)
      bytes.appendLittleEndian(entry.decompressed)
      bytes.appendLittleEndian(entry.checksum)
    }
    bytes.appendLittleEndian(UInt32(entries.count))
    bytes.append(SeekTable.descriptor)
    bytes.appendLittleEndian(SeekTable.footerMagic)
    return bytes
  }

  init() {}

  /// The table that a whole frame holds; nil when it is none.
  init?(frame bytes: UnsafeRawBufferPointer) {
    guard bytes.count >= SeekTable.size(frames: 0),
      let count = SeekTable.frameCount(footer: bytes.piece(bytes.count - 9..<bytes.count)),
      bytes.count == SeekTable.size(frames: count),
      bytes.littleEndian(UInt32.self, at: 0) == FrameKind.table.magic,
      Int(bytes.littleEndian(UInt32.self, at: 4)) == bytes.count - 8
    else { return nil }
    entries = (0..<count).map { index in
      let place = 8 + 12 * index
      return Entry(
        compressed: bytes.littleEndian(UInt32.self, at: place),
        decompressed: bytes.littleEndian(UInt32.self, at: place + 4),
        checksum: bytes.littleEndian(UInt32.self, at: place + 8))
    }
  }

  /// How many entries a footer announces; nil when it is none or they are too many.
  static func frameCount(footer bytes: UnsafeRawBufferPointer) -> Int? {
    guard bytes.count == footerSize, bytes[4] == descriptor,
      bytes.littleEndian(UInt32.self, at: 5) == footerMagic
    else { return nil }
    let count = bytes.littleEndian(UInt32.self, at: 0)
    return count <= UInt32(frameLimit) ? Int(count) : nil
  }
}
