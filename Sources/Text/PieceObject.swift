internal import Base

/// The `vocab` object of a BPE model: pieces and ids.
///
/// It is read apart from the rest of the file because its keys differ by bytes, while those of a Swift
/// dictionary of strings are equal when they look the same: `é` as one code point and as two are
/// different pieces.
struct PieceObject {
  /// The pieces with their ids, in order.
  private(set) var pieces: [(bytes: [UInt8], id: Int32)] = []
  /// The file with an empty object in its place.
  let rest: [UInt8]

  /// Nil when `model.vocab` is no object; what is wrong elsewhere is left to the JSON parser.
  init?(_ file: [UInt8]) throws {
    guard let model = Self.member("model", of: file[...]),
      let vocabulary = Self.member("vocab", of: model), vocabulary.first == UInt8(ascii: "{")
    else { return nil }
    rest = file[..<vocabulary.startIndex] + Array("{}".utf8) + file[vocabulary.endIndex...]
    var seen: Set<[UInt8]> = []
    var isMalformed = false
    Self.forEachMember(of: vocabulary) { key, value in
      guard let piece = (try? JSON.parse(key))?.string, let id = (try? JSON.parse(value))?.integer,
        id >= 0, id < Int32.max, seen.insert(Array(piece.utf8)).inserted
      else {
        isMalformed = true
        return false
      }
      pieces.append((Array(piece.utf8), Int32(id)))
      return true
    }
    if isMalformed { throw Failure.damagedTokenizer("model: malformed 'vocab'") }
  }

  private static func member(
    _ name: String, of object: ArraySlice<UInt8>
  ) -> ArraySlice<UInt8>? {
    let quoted = Array("\"\(name)\"".utf8)
    var found: ArraySlice<UInt8>?
    forEachMember(of: object) { key, value in
      if key.elementsEqual(quoted) { found = value }
      return found == nil
    }
    return found
  }

  /// Visits the members of an object as they are written, until told to stop or the object ends.
  private static func forEachMember(
    of object: ArraySlice<UInt8>,
    _ visit: (_ key: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>) -> Bool
  ) {
    var rest = object.drop(while: isBlank)
    guard rest.popFirst() == UInt8(ascii: "{") else { return }
    while true {
      rest = rest.drop { isBlank($0) || $0 == UInt8(ascii: ",") }
      guard rest.first == UInt8(ascii: "\"") else { return }
      let key = value(at: rest)
      rest = rest[key.endIndex...].drop { isBlank($0) || $0 == UInt8(ascii: ":") }
      let value = value(at: rest)
      guard !value.isEmpty, visit(key, value) else { return }
      rest = rest[value.endIndex...]
    }
  }

  private static func isBlank(_ byte: UInt8) -> Bool {
    byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
  }

  /// The value that bytes begin with: a text, a list or object to its closing bracket, or what
  /// stands before the next comma, bracket or blank.
  private static func value(at bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var depth = 0
    var index = bytes.startIndex
    while index < bytes.endIndex {
      switch bytes[index] {
      case UInt8(ascii: "\""):
        index += 1
        while index < bytes.endIndex, bytes[index] != UInt8(ascii: "\"") {
          index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        if depth == 0 { return bytes[..<min(index + 1, bytes.endIndex)] }
      case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        if depth == 0 { return bytes[..<index] }
        depth -= 1
        if depth == 0 { return bytes[...index] }
      case UInt8(ascii: ","), UInt8(ascii: ":"):
        if depth == 0 { return bytes[..<index] }
      case let byte where depth == 0 && isBlank(byte): return bytes[..<index]
      default: break
      }
      index += 1
    }
    return bytes
  }
}
