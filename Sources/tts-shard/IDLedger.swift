import Base

/// Finds ids that occur twice, however many there are: they wait in 64 buckets by their hash, which
/// move to files when they outgrow memory, and each bucket is looked at by itself in the end.
final class IDLedger {
  private let folder: String
  private var buckets = [[UInt8]](repeating: [], count: 64)
  private var files: [SpillFile?] = Array(repeating: nil, count: 64)
  private var waiting = 0
  private var sources: [String] = []
  private let memoryLimit: Int

  /// - Parameters:
  ///   - folder: where files may go, with its slash.
  ///   - memoryLimit: bytes to keep in memory.
  init(folder: String, memoryLimit: Int = 8 << 20) {
    self.folder = folder
    self.memoryLimit = memoryLimit
  }

  /// Notes an id and the file that it came from.
  func add(_ id: String, from source: String) throws {
    if sources.last != source { sources.append(source) }
    let bytes = Array(id.utf8)
    let bucket = Int(SHA256Digest(of: bytes).bytes[0] >> 2)
    let number = sources.count - 1
    let entry = [UInt8].littleEndian(bytes.count).prefix(2) + [UInt8].littleEndian(number).prefix(4)
    buckets[bucket] += entry
    buckets[bucket] += bytes
    waiting += 6 + bytes.count
    if waiting > memoryLimit { try spill() }
  }

  private func spill() throws {
    for index in buckets.indices where !buckets[index].isEmpty {
      let file = try files[index] ?? SpillFile(path: temporaryPath(in: folder, "ids-\(index)"))
      files[index] = file
      try file.append(buckets[index])
      try file.flush()
      buckets[index] = []
    }
    waiting = 0
  }

  /// Throws if an id occurs twice: the first one, in the order of the ids, of the first such bucket.
  func check() throws {
    for index in buckets.indices {
      var bytes: [UInt8] = []
      if let file = files[index] { bytes = try file.read(0..<file.count) }
      bytes += buckets[index]
      var seen: [ArraySlice<UInt8>: Int] = [:]
      var place = 0
      while place < bytes.count {
        let length = Int(bytes[place]) | Int(bytes[place + 1]) << 8
        let source = (0..<4).reduce(0) { $0 | Int(bytes[place + 2 + $1]) << (8 * $1) }
        let id = bytes[place + 6..<place + 6 + length]
        if let first = seen.updateValue(source, forKey: id) {
          throw Failure.duplicateID(
            String(decoding: id, as: UTF8.self), sources[first], sources[source])
        }
        place += 6 + length
      }
    }
  }
}
