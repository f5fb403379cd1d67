public import Base
import Safetensors

/// Records on their way into a block: length-prefixed blobs, and what has to be known of them.
struct BlockBuilder: Sendable {
  /// A block is closed before a record that would take it past this many bytes.
  static let target = 4 << 20

  private(set) var content: [UInt8] = []
  private var ends: [Int] = []
  private var ids: [String] = []
  private var tally = Tally()

  var isEmpty: Bool { ends.isEmpty }

  /// Whether a record of this size still belongs here: decided by data alone.
  func takes(_ size: Int) -> Bool { isEmpty || content.count + 8 + size <= BlockBuilder.target }

  /// Adds a record, whose encoding was made to learn its size.
  mutating func append(_ record: Record, _ encoding: SafetensorsEncoding) {
    if isEmpty { content.reserveCapacity(max(encoding.size + 8, BlockBuilder.target / 4)) }
    content.appendLittleEndian(UInt64(encoding.size))
    encoding.append(to: &content)
    ends.append(content.count)
    ids.append(record.id)
    tally.count(record, size: encoding.size)
  }

  /// Compresses and hashes.
  func encoded(level: Int) throws -> EncodedBlock {
    try content.withUnsafeBytes { bytes in
      var hashes: [SHA256Digest] = []
      hashes.reserveCapacity(ends.count)
      var sum = DigestSum()
      var start = 0
      for end in ends {
        let hash = recordHash(bytes.piece(start + 8..<end))
        hashes.append(hash)
        sum.add(hash)
        start = end
      }
      var tally = tally
      tally.digest = sum.digest
      tally.ids = idSum(ids)
      return EncodedBlock(
        frame: try Zstandard.compress(bytes, level: level), contentSize: content.count,
        checksum: checksum(bytes), hashes: hashes, tally: tally)
    }
  }
}

/// A block as it is written.
struct EncodedBlock: Sendable {
  var frame: [UInt8]
  var contentSize: Int
  var checksum: UInt32
  var hashes: [SHA256Digest]
  var tally: Tally
}

/// A block as it was read: checked, parsed, counted.
struct DecodedBlock: Sendable {
  var records: [Record]
  var hashes: [SHA256Digest]
  var tally: Tally
  var checksum: UInt32

  /// - Parameters:
  ///   - frame: a whole frame.
  ///   - size: its content's size, within the limit.
  init(frame: UnsafeRawBufferPointer, size: Int) throws(BlockProblem) {
    let content: [UInt8]
    do { content = try Zstandard.decompress(frame, size: size) } catch {
      throw BlockProblem(problem: "the block does not decompress: \(error.reason)", ordinal: 0)
    }
    // The frame ends in the checksum that the library has just compared.
    checksum = frame.littleEndian(UInt32.self, at: frame.count - 4)
    records = []
    hashes = []
    tally = Tally()
    var sum = DigestSum()
    var start = 0
    while start < content.count {
      let left = content.count - start
      guard left >= 8 else {
        throw BlockProblem(problem: "\(left) bytes after the last record", ordinal: records.count)
      }
      var problem: BlockProblem?
      let size = content.withUnsafeBytes { bytes -> Int in
        let length = bytes.littleEndian(UInt64.self, at: start)
        guard length <= UInt64(left - 8), length <= UInt64(Record.sizeLimit) else {
          problem = BlockProblem(
            problem: "a record that claims \(length) bytes", ordinal: records.count)
          return 0
        }
        let blob = bytes.piece(start + 8..<start + 8 + Int(length))
        do throws(Failure) {
          let record = try Record(encoded: blob)
          tally.count(record, size: blob.count)
          records.append(record)
        } catch {
          problem = BlockProblem(problem: error.description, ordinal: records.count)
          return 0
        }
        let hash = recordHash(blob)
        hashes.append(hash)
        sum.add(hash)
        return Int(length)
      }
      if let problem { throw problem }
      start += 8 + size
      // A block of many small records is short, so that its records take little memory.
      guard start == content.count || content.count <= BlockBuilder.target else {
        throw BlockProblem(
          problem: "several records in a block of \(content.count) bytes", ordinal: 1)
      }
    }
    tally.digest = sum.digest
    tally.ids = idSum(records.map(\.id))
  }
}

/// A block that was read and found good: its records, and its bytes as they stood.
public struct RecordBlock: Sendable {
  /// The records.
  public let records: [Record]
  let encoded: EncodedBlock

  init(_ block: DecodedBlock, frame: [UInt8], contentSize: Int) {
    records = block.records
    encoded = EncodedBlock(
      frame: frame, contentSize: contentSize, checksum: block.checksum, hashes: block.hashes,
      tally: block.tally)
  }

  /// The hashes of the records.
  public var hashes: [SHA256Digest] { encoded.hashes }
}

/// What is wrong inside a block.
struct BlockProblem: Error {
  var problem: String
  /// Records of the block before the place.
  var ordinal: Int
}

private func recordHash(_ blob: UnsafeRawBufferPointer) -> SHA256Digest {
  var hasher = SHA256Hasher()
  hasher.update(blob)
  return hasher.finish()
}

private func idSum(_ ids: [String]) -> SHA256Digest {
  var sum = DigestSum()
  for id in ids { sum.add(SHA256Digest(of: id.utf8)) }
  return sum.digest
}
