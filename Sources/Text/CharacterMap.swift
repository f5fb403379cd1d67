internal import Base

/// A compiled character map of SentencePiece: a double-array trie from byte strings to offsets into
/// a block of zero-terminated replacements. Every offset is checked on loading, so that following
/// them is safe, here and in the C++ library.
struct CharacterMap: Sendable {
  private let units: [UInt32]
  private let replacements: [UInt8]

  /// Reads a map: the trie's size in bytes (32 bits, little-endian), the trie, the replacements.
  init(_ bytes: [UInt8]) throws {
    func word(_ index: Int) -> UInt32 {
      bytes[index..<index + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
    guard bytes.count > 4, case let size = Int(word(0)), size <= bytes.count - 4, size >= 1024,
      size % 1024 == 0, bytes.last == 0
    else { throw Failure.damagedTokenizer("malformed character map") }
    units = (0..<size / 4).map { word(4 + 4 * $0) }
    replacements = Array(bytes[(4 + size)...])
    guard !replacements.isEmpty else { throw Failure.damagedTokenizer("malformed character map") }
    for index in units.indices where index == 0 || !isLeaf(units[index]) {
      // The children of a unit fill one block of 256, and the whole trie is such blocks.
      let child = index ^ offset(units[index])
      guard child < units.count else {
        throw Failure.damagedTokenizer("a character map that points outside itself")
      }
      guard !hasLeaf(units[index]) || value(units[child]) < replacements.count else {
        throw Failure.damagedTokenizer("a character map that points outside itself")
      }
    }
  }

  private func isLeaf(_ unit: UInt32) -> Bool { unit >> 31 != 0 }
  private func hasLeaf(_ unit: UInt32) -> Bool { unit >> 8 & 1 != 0 }
  private func value(_ unit: UInt32) -> Int { Int(unit & 0x7FFF_FFFF) }
  private func label(_ unit: UInt32) -> UInt32 { unit & 0x8000_00FF }
  private func offset(_ unit: UInt32) -> Int { Int((unit >> 10) << ((unit & 0x200) >> 6)) }

  /// The replacement of the shortest prefix of a text that the map holds, as the `tokenizers`
  /// package looks it up; nil when there is none.
  func shortest(in text: some Sequence<UInt8>) -> ArraySlice<UInt8>? {
    var found: ArraySlice<UInt8>?
    walk(text) { replacement, _ in
      found = replacement
      return false
    }
    return found
  }

  /// The replacement of the longest prefix of a text that the map holds, as SentencePiece looks it
  /// up, and the length of the prefix; nil when there is none.
  func longest(in text: some Sequence<UInt8>) -> (ArraySlice<UInt8>, Int)? {
    var found: (ArraySlice<UInt8>, Int)?
    walk(text) { replacement, length in
      found = (replacement, length)
      return true
    }
    return found
  }

  /// Visits the prefixes of a text that the map holds, shortest first, until told to stop.
  private func walk(_ text: some Sequence<UInt8>, _ visit: (ArraySlice<UInt8>, Int) -> Bool) {
    var node = offset(units[0])
    var length = 0
    for byte in text {
      guard byte != 0 else { return }
      node ^= Int(byte)
      let unit = units[node]
      guard label(unit) == UInt32(byte) else { return }
      node ^= offset(unit)
      length += 1
      guard hasLeaf(unit) else { continue }
      let start = value(units[node])
      let end = replacements[start...].firstIndex(of: 0) ?? replacements.endIndex
      guard visit(replacements[start..<end], length) else { return }
    }
  }
}
