public import Base
public import Safetensors

/// One utterance, or one part of a long recording: named arrays and texts.
///
/// What the well-known names mean is in `man/ttsr.5`; names that are not known pass through every
/// filter untouched.
public struct Record: Sendable, Equatable {
  /// Arrays by name: `audio`, `latents`, `tokens` …
  public var arrays: [String: ArrayData]
  /// Texts by name: `id`, `text`, `sample_rate` …
  public var metadata: [String: String]

  /// The most bytes that a record may take.
  public static let sizeLimit = 64 << 20
  /// The most bytes of JSON before a record's arrays.
  public static let headerLimit = 16 << 20

  /// A record without content.
  public init(id: String) {
    arrays = [:]
    metadata = ["id": id]
  }

  /// Reads a record from its canonical bytes; any other form is refused.
  public init(encoded: [UInt8]) throws {
    self = try encoded.withUnsafeBytes { try Record(encoded: $0) }
  }

  /// Reads a record from its canonical bytes in memory; any other form is refused.
  public init(encoded: UnsafeRawBufferPointer) throws(Failure) {
    guard encoded.count <= Record.sizeLimit else { throw .recordSize(encoded.count, id: nil) }
    let blob = try SafetensorsBlob(canonical: encoded)
    guard let id = blob.metadata["id"] else { throw .recordWithoutID() }
    guard Record.isValid(id: id) else { throw .recordID(id) }
    arrays = blob.arrays
    metadata = blob.metadata
  }

  /// The canonical bytes.
  public func encoded() throws -> [UInt8] {
    let encoding = try encoding()
    var bytes: [UInt8] = []
    bytes.reserveCapacity(encoding.size)
    encoding.append(to: &bytes)
    return bytes
  }

  func encoding() throws(Failure) -> SafetensorsEncoding {
    guard Record.isValid(id: id) else { throw .recordID(id) }
    let encoding = SafetensorsEncoding(SafetensorsBlob(arrays: arrays, metadata: metadata))
    guard arrays["__metadata__"] == nil else { throw .arrayName(id: id) }
    guard encoding.size <= Record.sizeLimit else { throw .recordSize(encoding.size, id: id) }
    guard encoding.headerSize <= Record.headerLimit else {
      throw .recordHeaderSize(encoding.headerSize, id: id)
    }
    return encoding
  }

  /// Whether a text may be an id: 1 to 4096 bytes, no blank, no control character.
  public static func isValid(id: String) -> Bool {
    (1...4096).contains(id.utf8.count) && id.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F }
  }

  /// A relative path for an id, which stays below its folder whatever the id is.
  public static func path(of id: String) -> String {
    let parts = id.split(separator: "/").map { part in
      part.allSatisfy { $0 == "." } ? String(repeating: "%2E", count: part.count) : String(part)
    }
    return parts.isEmpty ? "%2F" : parts.joined(separator: "/")
  }

  /// An id made from any text, a path for instance: blanks, control characters and the per cent
  /// sign percent-encoded, so that different texts have different ids.
  public static func id(from text: String) -> String {
    var id = ""
    for scalar in text.unicodeScalars {
      let properties = scalar.properties
      if properties.isWhitespace || properties.generalCategory == .control || scalar == "%" {
        for byte in String(scalar).utf8 { id += "%" + [byte].hexadecimal.uppercased() }
      } else {
        id.unicodeScalars.append(scalar)
      }
    }
    return id
  }
}
