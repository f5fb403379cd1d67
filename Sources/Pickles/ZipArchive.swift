import Base

/// A zip archive in memory, as torch.save writes it: the entries are stored as they are.
///
/// The directory at its end counts; entries lie before it. Sizes and places are checked before they are
/// used, so that nothing is allocated by what a header claims.
struct ZipArchive: Sendable {
  struct Entry: Sendable {
    var content: Range<Int>
    /// Whether the content is as it was, neither compressed nor encrypted.
    var isStored: Bool
    /// 0 where none was computed, as PyTorch leaves it when it is told to.
    var checksum: UInt32
  }

  let entries: [String: Entry]

  private static let endLength = 22

  /// - Throws: `badInput`, without a subject.
  init(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
    let reader = LittleEndianReader(bytes)
    guard let end = Self.endRecord(reader) else {
      throw .torchFile("cut short: the directory at its end is missing")
    }
    let directory = try Self.directory(reader, end: end)
    var entries: [String: Entry] = [:]
    var place = directory.place.lowerBound
    for _ in 0..<directory.count {
      guard directory.place.upperBound - place >= 46, reader.uint32(place) == 0x0201_4B50 else {
        throw .torchFile("its directory is damaged")
      }
      let (name, next, entry) = try Self.entry(reader, place, directory.place)
      guard entries.updateValue(entry, forKey: name) == nil else {
        throw .torchFile("'\(name)' appears twice in it")
      }
      place = next
    }
    guard place == directory.place.upperBound else {
      throw .torchFile("its directory is damaged")
    }
    self.entries = entries
  }

  /// Where the record that ends an archive begins: the last one that reaches to the end.
  private static func endRecord(_ reader: LittleEndianReader) -> Int? {
    let last = reader.count - endLength
    guard last >= 0 else { return nil }
    // A comment of at most 65,535 bytes may follow it.
    return (max(0, last - 0xFFFF)...last).reversed().first {
      reader.uint32($0) == 0x0605_4B50 && reader.uint16($0 + 20) == last - $0
    }
  }

  /// The directory's place and the number of entries.
  private static func directory(
    _ reader: LittleEndianReader, end: Int
  ) throws(Failure) -> (place: Range<Int>, count: Int) {
    guard reader.uint16(end + 4) == 0, reader.uint16(end + 6) == 0 else {
      throw .torchFile("an archive in several parts")
    }
    var count = reader.uint16(end + 10)
    var size = UInt64(reader.uint32(end + 12))
    var start = UInt64(reader.uint32(end + 16))
    var limit = end
    if count == 0xFFFF || size == 0xFFFF_FFFF || start == 0xFFFF_FFFF {
      // Larger archives say it in another record, which a locator before this one points at.
      let locator = end - 20
      guard locator >= 56, reader.uint32(locator) == 0x0706_4B50,
        let place = Int(exactly: reader.uint64(locator + 8)), place <= locator - 56,
        reader.uint32(place) == 0x0606_4B50,
        let entries = Int(exactly: reader.uint64(place + 32))
      else { throw .torchFile("the record of its directory is damaged") }
      count = entries
      size = reader.uint64(place + 40)
      start = reader.uint64(place + 48)
      limit = place
    }
    guard start <= UInt64(limit), size <= UInt64(limit) - start, count <= Int(size) / 46 else {
      throw .torchFile("its directory reaches past its end")
    }
    return (Int(start)..<Int(start + size), count)
  }

  private static func entry(
    _ reader: LittleEndianReader, _ place: Int, _ directory: Range<Int>
  ) throws(Failure) -> (name: String, next: Int, entry: Entry) {
    let (nameLength, extraLength) = (reader.uint16(place + 28), reader.uint16(place + 30))
    let extra = place + 46 + nameLength..<place + 46 + nameLength + extraLength
    let next = extra.upperBound + reader.uint16(place + 32)
    guard next <= directory.upperBound,
      let name = String(validating: reader.bytes[place + 46..<extra.lowerBound], as: UTF8.self)
    else { throw .torchFile("its directory is damaged") }
    let isStored = reader.uint16(place + 8) & 1 == 0 && reader.uint16(place + 10) == 0
    let sizes = try LargeSizes(reader, extra, place)
    guard sizes.packed == sizes.size || !isStored else {
      throw .torchFile("the sizes of '\(name)' differ")
    }
    guard directory.lowerBound >= 30, sizes.header <= UInt64(directory.lowerBound - 30) else {
      throw .torchFile("'\(name)' reaches past its end")
    }
    let header = Int(sizes.header)
    let begin = header + 30 + reader.uint16(header + 26) + reader.uint16(header + 28)
    guard reader.uint32(header) == 0x0403_4B50, reader.uint16(header + 26) == nameLength,
      begin <= directory.lowerBound,
      reader.bytes[header + 30..<header + 30 + nameLength]
        .elementsEqual(reader.bytes[place + 46..<extra.lowerBound])
    else { throw .torchFile("the header of '\(name)' is damaged") }
    guard sizes.packed <= UInt64(directory.lowerBound - begin) else {
      throw .torchFile("'\(name)' reaches past its end")
    }
    let content = begin..<begin + Int(sizes.packed)
    let checksum = reader.uint32(place + 16)
    return (name, next, Entry(content: content, isStored: isStored, checksum: checksum))
  }

  /// Sizes and place of an entry, from the field for large ones where the short fields are full.
  private struct LargeSizes {
    var size: UInt64
    var packed: UInt64
    var header: UInt64

    init(
      _ reader: LittleEndianReader, _ extra: Range<Int>, _ place: Int
    ) throws(Failure) {
      packed = UInt64(reader.uint32(place + 20))
      size = UInt64(reader.uint32(place + 24))
      header = UInt64(reader.uint32(place + 42))
      var field = extra.lowerBound
      while extra.upperBound - field >= 4 {
        let (kind, length) = (reader.uint16(field), reader.uint16(field + 2))
        let end = field + 4 + length
        guard end <= extra.upperBound else { break }
        if kind == 1 {
          var value = field + 4
          for part in [\LargeSizes.size, \.packed, \.header]
          where self[keyPath: part] == 0xFFFF_FFFF {
            guard value + 8 <= end else { throw .torchFile("its directory is damaged") }
            self[keyPath: part] = reader.uint64(value)
            value += 8
          }
          return
        }
        field = end
      }
    }
  }
}

/// Little-endian numbers at any place; its users check that the place is within.
struct LittleEndianReader {
  let bytes: UnsafeRawBufferPointer
  var count: Int { bytes.count }

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  func uint16(_ place: Int) -> Int {
    Int(bytes.loadUnaligned(fromByteOffset: place, as: UInt16.self).littleEndian)
  }
  func uint32(_ place: Int) -> UInt32 {
    bytes.loadUnaligned(fromByteOffset: place, as: UInt32.self).littleEndian
  }
  func uint64(_ place: Int) -> UInt64 {
    bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self).littleEndian
  }
}
