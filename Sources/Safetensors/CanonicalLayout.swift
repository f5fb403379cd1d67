import Base

/// What a header says of one array.
struct ArrayEntry: Equatable {
  var name: String
  var type: ElementType
  var shape: [Int]
  /// Bytes.
  var size: Int
}

/// The canonical order of arrays and the header that goes with it: the one way to write a blob.
struct CanonicalLayout {
  /// Arrays in the order of their bytes: large elements first, then by name.
  let entries: [ArrayEntry]
  /// The length field, the JSON text and the blanks that fill it to the alignment.
  let header: [UInt8]
  /// Bytes of header and arrays.
  let size: Int

  init(_ unordered: [ArrayEntry], metadata: [String: String], alignment: Int = 8) {
    entries = unordered.sorted {
      $0.type.size == $1.type.size
        ? $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) : $0.type.size > $1.type.size
    }
    var items: [(key: String, begin: Int, entry: ArrayEntry?)] = []
    var end = 0
    for entry in entries {
      items.append((entry.name, end, entry))
      end += entry.size
    }
    if !metadata.isEmpty { items.append((CanonicalLayout.metadataKey, 0, nil)) }
    items.sort { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }

    var text = [UInt8](repeating: 0, count: 8)
    text.append(UInt8(ascii: "{"))
    for (index, item) in items.enumerated() {
      if index > 0 { text.append(UInt8(ascii: ",")) }
      JSON.appendCanonical(item.key, to: &text)
      text.append(UInt8(ascii: ":"))
      if let entry = item.entry {
        let shape = entry.shape.map(String.init).joined(separator: ",")
        text.append(contentsOf: #"{"data_offsets":["#.utf8)
        text.append(contentsOf: "\(item.begin),\(item.begin + entry.size)".utf8)
        text.append(contentsOf: #"],"dtype":""#.utf8)
        text.append(contentsOf: entry.type.rawValue.utf8)
        text.append(contentsOf: #"","shape":["#.utf8)
        text.append(contentsOf: "\(shape)]}".utf8)
      } else {
        JSON(metadata).appendCanonical(to: &text)
      }
    }
    text.append(UInt8(ascii: "}"))
    while !text.count.isMultiple(of: alignment) { text.append(UInt8(ascii: " ")) }
    withUnsafeBytes(of: UInt64(text.count - 8).littleEndian) { length in
      for index in 0..<8 { text[index] = length[index] }
    }
    header = text
    size = text.count + end
  }

  init(_ arrays: [String: ArrayData], metadata: [String: String]) {
    self.init(
      arrays.map { ArrayEntry(name: $0, type: $1.type, shape: $1.shape, size: $1.bytes.count) },
      metadata: metadata)
  }

  static let metadataKey = "__metadata__"
}

/// What the JSON text of a header says, not yet compared with any bytes.
struct ParsedHeader {
  var entries: [(entry: ArrayEntry, begin: Int, end: Int)] = []
  var metadata: [String: String] = [:]

  /// - Parameter fail: makes a failure from what is wrong.
  init(
    _ text: UnsafeBufferPointer<UInt8>, fail: (String) -> Failure
  ) throws(Failure) {
    let json: JSON
    do { json = try JSON.parse(text, depth: 8) } catch { throw fail("header: \(error.problem)") }
    guard let members = json.object else { throw fail("the header is not a JSON object") }
    entries.reserveCapacity(members.count)
    for (name, value) in members {
      if name == CanonicalLayout.metadataKey {
        guard let texts = value.stringMembers else {
          throw fail("__metadata__ holds something else than texts")
        }
        metadata = texts
        continue
      }
      guard let typeName = value["dtype"]?.string, let dimensions = value["shape"]?.array,
        let offsets = value["data_offsets"]?.array, value.object?.count == 3
      else { throw fail("the entry of '\(name)' lacks dtype, shape or data_offsets") }
      guard let type = ElementType(rawValue: typeName) else {
        throw fail("'\(name)' has the unknown type '\(typeName)'")
      }
      let shape = dimensions.compactMap(\.integer)
      let places = offsets.compactMap(\.integer)
      guard shape.count == dimensions.count, let size = type.byteCount(shape: shape) else {
        throw fail("'\(name)' has an impossible shape")
      }
      guard places.count == 2, offsets.count == 2, places[0] >= 0, places[0] <= places[1],
        places[1] - places[0] == size
      else { throw fail("the offsets of '\(name)' do not fit its shape") }
      entries.append(
        (ArrayEntry(name: name, type: type, shape: shape, size: size), places[0], places[1]))
    }
  }
}
