import Base

/// Writes a zip archive of stored entries as torch.save does: sums and sizes after each entry, contents at
/// multiples of 64 bytes, no times.
struct ZipWriter {
  private let file: AtomicFile
  private var place: UInt64 = 0
  private var directory: [UInt8] = []
  private var count = 0
  private var open = (name: "", size: 0, header: 0 as UInt64, begin: 0 as UInt64)
  private var sum = CRC32()
  /// From here on sizes and places are written in the fields for large ones.
  private let large: UInt64

  /// - Parameter large: lower in tests.
  init(_ file: AtomicFile, large: UInt64 = 0xFFFF_FFFF) {
    self.file = file
    self.large = large
  }

  private mutating func write(_ bytes: [UInt8]) throws {
    try file.write(bytes)
    place += UInt64(bytes.count)
  }

  /// Begins an entry of a known size, whose bytes are appended then.
  mutating func begin(_ name: String, size: Int) throws {
    let isLarge = UInt64(size) >= large
    let header = place
    var local = LittleEndianBytes()
    local.append(0x0403_4B50 as UInt32)
    appendCommon(&local, checksum: 0, size: isLarge ? 0xFFFF_FFFF : 0, name)
    var extra = LittleEndianBytes()
    if isLarge { extra.appendLarge([UInt64(size), UInt64(size)]) }
    // A field that means nothing moves the content to its place.
    let begin = Int(header) + local.bytes.count + 2 + name.utf8.count + extra.bytes.count + 4
    let filler = (64 - begin % 64) % 64
    extra.append(0x4246 as UInt16)
    extra.append(UInt16(filler))
    extra.bytes += [UInt8](repeating: UInt8(ascii: "Z"), count: filler)
    local.append(UInt16(extra.bytes.count))
    try write(local.bytes + Array(name.utf8) + extra.bytes)
    open = (name, size, header, place)
    sum = CRC32()
  }

  /// Appends bytes to the entry that was begun.
  mutating func append(_ bytes: UnsafeRawBufferPointer) throws {
    sum.update(bytes)
    try file.write(bytes)
    place += UInt64(bytes.count)
  }

  /// Ends the entry.
  mutating func end() throws {
    let (name, size, header, begin) = open
    precondition(
      place - begin == UInt64(size), "the bytes of '\(name)' must be as many as was said")
    var descriptor = LittleEndianBytes()
    descriptor.append(0x0807_4B50 as UInt32)
    descriptor.append(sum.value)
    for _ in 0..<2 {
      if UInt64(size) >= large {
        descriptor.append(UInt64(size))
      } else {
        descriptor.append(UInt32(size))
      }
    }
    try write(descriptor.bytes)
    remember(name, size: UInt64(size), header: header, checksum: sum.value)
  }

  /// Adds an entry.
  mutating func add(_ name: String, _ bytes: [UInt8]) throws {
    try begin(name, size: bytes.count)
    try bytes.withUnsafeBytes { try append($0) }
    try end()
  }

  /// What headers and directory say alike; the length of the extra field follows.
  private func appendCommon(
    _ bytes: inout LittleEndianBytes, checksum: UInt32, size: UInt32, _ name: String
  ) {
    // Version 4.5 knows large sizes; sums stand after the content, names are UTF-8; stored; no time.
    for value in [45, 0x0808, 0, 0, 0] as [UInt16] { bytes.append(value) }
    bytes.append(checksum)
    for _ in 0..<2 { bytes.append(size) }
    bytes.append(UInt16(name.utf8.count))
  }

  private mutating func remember(_ name: String, size: UInt64, header: UInt64, checksum: UInt32) {
    var extra = LittleEndianBytes()
    let wide = (size >= large ? [size, size] : []) + (header >= large ? [header] : [])
    if !wide.isEmpty { extra.appendLarge(wide) }
    var entry = LittleEndianBytes()
    entry.append(0x0201_4B50 as UInt32)
    entry.append(45 as UInt16)
    appendCommon(
      &entry, checksum: checksum, size: size >= large ? 0xFFFF_FFFF : UInt32(size), name)
    entry.append(UInt16(extra.bytes.count))
    for value in [0, 0, 0] as [UInt16] { entry.append(value) }
    entry.append(0 as UInt32)
    entry.append(header >= large ? 0xFFFF_FFFF : UInt32(header))
    directory += entry.bytes + Array(name.utf8) + extra.bytes
    count += 1
  }

  /// Ends the archive; the file is not yet committed.
  mutating func finish() throws {
    let (start, size) = (place, UInt64(directory.count))
    try write(directory)
    let end = place
    let isLarge = start >= large || count >= 0xFFFF
    var record = LittleEndianBytes()
    if isLarge {
      record.append(0x0606_4B50 as UInt32)
      record.append(44 as UInt64)
      for _ in 0..<2 { record.append(45 as UInt16) }
      for _ in 0..<2 { record.append(0 as UInt32) }
      for value in [UInt64(count), UInt64(count), size, start] { record.append(value) }
      record.append(0x0706_4B50 as UInt32)
      record.append(0 as UInt32)
      record.append(end)
      record.append(1 as UInt32)
    }
    record.append(0x0605_4B50 as UInt32)
    for _ in 0..<2 { record.append(0 as UInt16) }
    for _ in 0..<2 { record.append(isLarge ? 0xFFFF : UInt16(count)) }
    record.append(UInt32(clamping: size))
    record.append(isLarge ? 0xFFFF_FFFF : UInt32(start))
    record.append(0 as UInt16)
    try write(record.bytes)
  }
}

/// Little-endian numbers one after the other.
struct LittleEndianBytes {
  var bytes: [UInt8] = []

  mutating func append(_ value: some FixedWidthInteger & BitwiseCopyable) {
    withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
  }

  /// The field of a zip entry for large sizes and places.
  mutating func appendLarge(_ values: [UInt64]) {
    append(1 as UInt16)
    append(UInt16(8 * values.count))
    for value in values { append(value) }
  }
}
