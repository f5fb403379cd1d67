import Base

/// Puts utterances into a random order that depends on the seed and the ids only, with little memory:
/// the order is that of a hash of both. They wait in files by the first bits of the hash; of one such
/// file at a time the hashes are sorted.
final class Shuffle {
  private struct Entry {
    var key: SHA256Digest
    var parts: Int
    var range: Range<Int>
  }

  private let seed: UInt64
  private let folder: String
  private let name: String
  private var files: [SpillFile?] = Array(repeating: nil, count: 64)

  init(seed: UInt64, folder: String, name: String) {
    self.seed = seed
    self.folder = folder
    self.name = name
  }

  /// Adds an utterance.
  func add(_ utterance: Utterance) throws {
    let key = SHA256Digest(of: "shuffle \(seed)\0\(utterance.id)".utf8)
    let bucket = Int(key.bytes[0] >> 2)
    let file =
      try files[bucket]
      ?? SpillFile(path: temporaryPath(in: folder, "shuffle-\(name)-\(bucket)"))
    files[bucket] = file
    try file.append(key.bytes)
    try file.append([UInt8].littleEndian(utterance.parts))
    try file.append([UInt8].littleEndian(utterance.byteCount + 8 * utterance.parts))
    try utterance.forEachPart { part in
      try file.append([UInt8].littleEndian(part.count))
      try file.append(part)
    }
  }

  /// Calls `body` with each utterance in the random order: how many parts and bytes it has, and a
  /// function that hands out its encoded parts.
  func forEach(
    _ body: (Int, Int, (([UInt8]) throws -> Void) throws -> Void) throws -> Void
  ) throws {
    for bucket in files.indices {
      guard let file = files[bucket] else { continue }
      try file.flush()
      var entries: [Entry] = []
      var place = 0
      while place < file.count {
        let head = try file.read(place..<place + 48)
        guard let key = SHA256Digest(bytes: Array(head[..<32])) else { break }
        let size = head.number(at: 40)
        entries.append(
          Entry(key: key, parts: head.number(at: 32), range: place + 48..<place + 48 + size))
        place += 48 + size
      }
      entries.sort { $0.key.bytes.lexicographicallyPrecedes($1.key.bytes) }
      for entry in entries {
        try body(entry.parts, entry.range.count - 8 * entry.parts) { part in
          try Utterance.forEachPart(in: entry.range, of: file, part)
        }
      }
      files[bucket] = nil
    }
  }
}
