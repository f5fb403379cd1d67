import Base

/// A safetensors file mapped into memory, in any valid layout.
///
/// Header and offsets are checked when it is opened: arrays neither overlap nor leave gaps nor reach
/// past the end. Bytes are read when an array is asked for.
public final class SafetensorsFile: Sendable {
  /// The file.
  public let path: String
  /// The names of its arrays, sorted.
  public let names: [String]
  /// The texts of `__metadata__`.
  public let metadata: [String: String]

  private struct Place: Sendable {
    var entry: ArrayEntry
    var begin: Int
  }
  private let places: [String: Place]
  private let mapping: FileMapping

  /// No header is longer, as in the reference implementation.
  private static let headerLimit: UInt64 = 100_000_000

  /// Opens and checks a file.
  public init(path: String) throws {
    self.path = path
    let mapping = try FileMapping(path: path)
    self.mapping = mapping
    let bytes = mapping.bytes
    func fail(_ problem: String) -> Failure { .safetensors(problem, path: path) }
    guard bytes.count >= 8 else { throw fail("shorter than its length field") }
    let length = bytes.loadUnaligned(as: UInt64.self).littleEndian
    guard length <= Self.headerLimit, length <= UInt64(bytes.count - 8) else {
      throw fail("it claims a header of \(length) bytes and has \(bytes.count) in all")
    }
    let start = 8 + Int(length)
    let text = UnsafeRawBufferPointer(rebasing: bytes[8..<start])
    let header = try text.withMemoryRebound(to: UInt8.self) { try ParsedHeader($0, fail: fail) }
    metadata = header.metadata
    let size = bytes.count - start
    var places: [String: Place] = [:]
    var last = 0
    for (entry, begin, end) in header.entries.sorted(by: { ($0.begin, $0.end) < ($1.begin, $1.end) }
    ) {
      guard end <= size else { throw fail("'\(entry.name)' reaches past the end of the file") }
      guard begin >= last else { throw fail("'\(entry.name)' overlaps another tensor") }
      guard begin == last else { throw fail("a gap before '\(entry.name)'") }
      places[entry.name] = Place(entry: entry, begin: start + begin)
      last = end
    }
    guard last == size else { throw fail("\(size - last) bytes belong to no tensor") }
    self.places = places
    names = places.keys.sortedByCodePoints
  }

  /// The dimensions of an array; nil where there is none of that name.
  public func shape(of name: String) -> [Int]? { places[name]?.entry.shape }

  /// The element type of an array; nil where there is none of that name.
  public func type(of name: String) -> ElementType? { places[name]?.entry.type }

  /// Lends the bytes of an array, of any alignment, for the time of the call.
  public func withBytes<Result>(
    _ name: String, _ body: (UnsafeRawBufferPointer) throws -> Result
  ) throws -> Result {
    guard let bytes = bytes(name) else { throw Failure.missingArray(name, path: path) }
    return try body(bytes)
  }

  /// The bytes of an array, of any alignment, valid while the file lives; nil where there is none.
  public func bytes(_ name: String) -> UnsafeRawBufferPointer? {
    places[name].map {
      UnsafeRawBufferPointer(rebasing: mapping.bytes[$0.begin..<$0.begin + $0.entry.size])
    }
  }

  /// A copy of an array.
  public func array(_ name: String) throws -> ArrayData {
    guard let place = places[name] else { throw Failure.missingArray(name, path: path) }
    let bytes = try withBytes(name) { Array($0) }
    return ArrayData(unchecked: place.entry.type, place.entry.shape, bytes)
  }

  /// The elements of an array as floats, as `ArrayData.floats()` converts them.
  public func floats(_ name: String) throws -> [Float] {
    guard let place = places[name] else { throw Failure.missingArray(name, path: path) }
    return try withBytes(name) { bytes in
      do {
        return try ArrayData.floats(bytes, type: place.entry.type)
      } catch let failure as Failure {
        var failure = failure.about(path)
        failure.problem = "tensor '\(name)': \(failure.problem)"
        throw failure
      }
    }
  }
}

/// An array in memory that is about to be written.
public struct StoredArray {
  var entry: ArrayEntry
  var bytes: UnsafeRawBufferPointer

  /// An array of these elements; the shape must fit them.
  public init(_ name: String, _ type: ElementType, shape: [Int], _ bytes: UnsafeRawBufferPointer) {
    precondition(type.byteCount(shape: shape) == bytes.count, "the shape must fit the bytes")
    entry = ArrayEntry(name: name, type: type, shape: shape, size: bytes.count)
    self.bytes = bytes
  }
}

/// Hands out a file of arrays, in the canonical order, straight from memory.
///
/// - Parameters:
///   - alignment: of the first array in the file.
///   - write: gets the bytes, piece by piece.
public func writeSafetensors(
  _ arrays: [StoredArray], metadata: [String: String], alignment: Int = 8,
  _ write: (UnsafeRawBufferPointer) throws -> Void
) throws {
  let layout = CanonicalLayout(
    arrays.map(\.entry), metadata: metadata, alignment: alignment)
  let bytes = Dictionary(uniqueKeysWithValues: arrays.map { ($0.entry.name, $0.bytes) })
  try layout.header.withUnsafeBytes(write)
  for entry in layout.entries {
    if let content = bytes[entry.name] { try write(content) }
  }
}

/// Writes arrays that are made one by one to a file, canonically, whole or not at all.
///
/// - Parameter content: hands the bytes of an array to `write`, in any number of pieces.
public func writeSafetensors(
  _ arrays: [(name: String, type: ElementType, shape: [Int])], metadata: [String: String],
  to path: String,
  content: (
    _ name: String, _ type: ElementType, _ write: (UnsafeRawBufferPointer) throws -> Void
  ) throws -> Void
) throws {
  let entries = arrays.map { array in
    guard let size = array.type.byteCount(shape: array.shape) else {
      preconditionFailure("an impossible shape")
    }
    return ArrayEntry(name: array.name, type: array.type, shape: array.shape, size: size)
  }
  let layout = CanonicalLayout(entries, metadata: metadata)
  let file = try AtomicFile(path: path)
  try file.write(layout.header)
  for entry in layout.entries {
    var count = 0
    try content(entry.name, entry.type) { bytes in
      count += bytes.count
      try file.write(bytes)
    }
    precondition(count == entry.size, "the bytes of '\(entry.name)' must fit its shape")
  }
  try file.commit()
}

/// Writes arrays and texts to a file, canonically (`SafetensorsBlob`), whole or not at all.
public func writeSafetensors(
  _ arrays: [String: ArrayData], metadata: [String: String], to path: String
) throws {
  let file = try AtomicFile(path: path)
  try SafetensorsEncoding(SafetensorsBlob(arrays: arrays, metadata: metadata)).write {
    try file.write($0)
  }
  try file.commit()
}
