import Base

/// What a reader has seen of a segment, to be compared with what its end says.
struct SegmentCheck: Sendable {
  var table = SeekTable()
  private(set) var tally = Tally()
  private(set) var recordsPerBlock: [Int] = []
  private var ordered = SHA256Hasher()

  mutating func count(_ block: DecodedBlock, frameLength: Int, contentSize: Int) {
    table.append(frame: frameLength, contentSize: contentSize, checksum: block.checksum)
    count(block.tally, block.hashes)
  }

  mutating func count(_ block: EncodedBlock) {
    table.append(
      frame: block.frame.count, contentSize: block.contentSize, checksum: block.checksum)
    count(block.tally, block.hashes)
  }

  private mutating func count(_ block: Tally, _ hashes: [SHA256Digest]) {
    tally += block
    recordsPerBlock.append(block.records)
    for hash in hashes { ordered.update(hash.bytes) }
  }

  mutating func count(metaFrame length: Int) {
    table.append(frame: length, contentSize: 0, checksum: SeekTable.emptyChecksum)
  }

  /// The trailer that goes with what was counted.
  func trailer(_ status: Trailer.Status, from: SHA256Digest?) -> Trailer {
    Trailer(
      status: status, tally: tally, orderedDigest: ordered.finish(),
      recordsPerBlock: recordsPerBlock, from: from)
  }

  /// What of a trailer is not so; nil when all is.
  func contradiction(of trailer: Trailer) -> String? {
    let seen = self.trailer(trailer.status, from: trailer.from)
    if trailer.tally.records != tally.records {
      return "the trailer counts \(trailer.tally.records) records, there are \(tally.records)"
    }
    if trailer.recordsPerBlock != recordsPerBlock { return "the trailer's list of blocks is wrong" }
    if trailer.orderedDigest != seen.orderedDigest { return "the trailer's digest is wrong" }
    return trailer == seen ? nil : "the trailer's counts are wrong"
  }
}
