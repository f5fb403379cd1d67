public import Base

/// Named arrays and texts in the canonical safetensors form, in memory: what a record is made of.
///
/// Canonical: arrays by element size descending, then by name in UTF-8 order, without gaps; the header
/// as `JSON.canonicalBytes`, filled with blanks to 8 bytes. The same content has the same bytes.
public struct SafetensorsBlob: Sendable, Equatable {
  /// The arrays by name.
  public var arrays: [String: ArrayData]
  /// The texts of `__metadata__`.
  public var metadata: [String: String]

  /// A blob of some content.
  public init(arrays: [String: ArrayData], metadata: [String: String]) {
    self.arrays = arrays
    self.metadata = metadata
  }

  /// Reads a blob; any other form than the canonical one is refused.
  public init(canonical bytes: [UInt8]) throws(Failure) {
    do {
      self = try bytes.withUnsafeBytes { try SafetensorsBlob(canonical: $0) }
    } catch let failure as Failure {
      throw failure
    } catch {
      throw .blob("\(error)")
    }
  }

  /// Reads a blob from memory; any other form than the canonical one is refused.
  public init(canonical bytes: UnsafeRawBufferPointer) throws(Failure) {
    guard bytes.count >= 8 else { throw .blob("shorter than its length field") }
    let length = bytes.loadUnaligned(as: UInt64.self).littleEndian
    guard length <= UInt64(bytes.count - 8) else {
      throw .blob("a header of \(length) bytes in a blob of \(bytes.count)")
    }
    let start = 8 + Int(length)
    let text = UnsafeRawBufferPointer(rebasing: bytes[8..<start])
    let header = try text.withMemoryRebound(to: UInt8.self) { text throws(Failure) in
      try ParsedHeader(text, fail: Failure.blob)
    }
    // Offsets are not looked at one by one: the layout follows from the rest of the header, and the
    // header must be the one that goes with it.
    var total = start
    for entry in header.entries {
      let (sum, overflow) = total.addingReportingOverflow(entry.entry.size)
      guard !overflow, sum <= bytes.count else {
        throw .blob("'\(entry.entry.name)' reaches past the end")
      }
      total = sum
    }
    guard total == bytes.count else { throw .blob("\(bytes.count - total) bytes too many") }
    let layout = CanonicalLayout(header.entries.map(\.entry), metadata: header.metadata)
    guard layout.header.count == start, layout.header.elementsEqual(bytes[..<start]) else {
      throw .blob("the header is not in canonical form")
    }
    metadata = header.metadata
    arrays = [:]
    arrays.reserveCapacity(layout.entries.count)
    var begin = start
    for entry in layout.entries {
      let content = UnsafeRawBufferPointer(rebasing: bytes[begin..<begin + entry.size])
      arrays[entry.name] = ArrayData(unchecked: entry.type, entry.shape, Array(content))
      begin += entry.size
    }
  }

  /// The canonical bytes.
  public func encoded() -> [UInt8] {
    var bytes: [UInt8] = []
    let encoding = SafetensorsEncoding(self)
    bytes.reserveCapacity(encoding.size)
    encoding.append(to: &bytes)
    return bytes
  }
}

/// A blob about to be written: its size is known before its bytes are made.
public struct SafetensorsEncoding: Sendable {
  private let arrays: [String: ArrayData]
  private let names: [String]
  private let header: [UInt8]
  /// Bytes in all.
  public let size: Int

  /// The encoding of a blob.
  public init(_ blob: SafetensorsBlob) {
    let layout = CanonicalLayout(blob.arrays, metadata: blob.metadata)
    arrays = blob.arrays
    names = layout.entries.map(\.name)
    header = layout.header
    size = layout.size
  }

  /// Bytes before the arrays.
  public var headerSize: Int { header.count }

  /// Appends the canonical bytes.
  public func append(to bytes: inout [UInt8]) {
    bytes.append(contentsOf: header)
    for name in names {
      if let array = arrays[name] { bytes.append(contentsOf: array.bytes) }
    }
  }

  /// Hands out the canonical bytes piece by piece.
  public func write(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    try header.withUnsafeBytes(body)
    for name in names {
      if let array = arrays[name] { try array.bytes.withUnsafeBytes(body) }
    }
  }
}
