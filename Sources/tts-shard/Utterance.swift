import Base
import Records

/// All parts of one id, encoded, each after its length: in memory as long as they are small, else in
/// a file, so that a recording of hours costs no memory.
final class Utterance {
  let id: String
  private let spillPath: String
  private var bytes: [UInt8] = []
  private var spill: SpillFile?
  private(set) var parts = 0
  /// Bytes of the encoded parts.
  private(set) var byteCount = 0
  private(set) var isRejected = false

  private static let memoryLimit = 16 << 20

  init(id: String, spillPath: String) {
    self.id = id
    self.spillPath = spillPath
  }

  /// Adds the next part.
  func add(_ record: Record) throws {
    isRejected = isRejected || record.isRejected
    parts += 1
    // A rejected id is left out as a whole: nothing of it needs to be kept.
    guard !isRejected else { return }
    let encoded = try record.encoded()
    byteCount += encoded.count
    if spill == nil, bytes.count + encoded.count > Self.memoryLimit, !bytes.isEmpty {
      spill = try SpillFile(path: spillPath)
      try spill?.append(bytes)
      bytes = []
    }
    if let spill {
      try spill.append([UInt8].littleEndian(encoded.count))
      try spill.append(encoded)
    } else {
      bytes += [UInt8].littleEndian(encoded.count)
      bytes += encoded
    }
  }

  /// Calls `body` with each encoded part, in order.
  func forEachPart(_ body: ([UInt8]) throws -> Void) throws {
    if let spill {
      try spill.flush()
      try Self.forEachPart(in: 0..<spill.count, of: spill, body)
    } else {
      var place = 0
      while place < bytes.count {
        let size = bytes.number(at: place)
        try body(Array(bytes[place + 8..<place + 8 + size]))
        place += 8 + size
      }
    }
  }

  /// Calls `body` with each encoded part that stands in a range of a file.
  static func forEachPart(
    in range: Range<Int>, of file: SpillFile, _ body: ([UInt8]) throws -> Void
  ) throws {
    var place = range.lowerBound
    while place < range.upperBound {
      let size = try file.read(place..<place + 8).number(at: 0)
      try body(try file.read(place + 8..<place + 8 + size))
      place += 8 + size
    }
  }
}
