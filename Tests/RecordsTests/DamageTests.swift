import Base
import Records
import TestSupport
import Testing

@Suite struct DamageTests {
  /// A small shard with several records.
  private func shard() throws -> (bytes: [UInt8], records: [Record], trailer: Trailer) {
    try Streams.withFolder { folder in
      let records = Streams.randomRecords(6, seed: 11, size: 80)
      let bytes = try Streams.write(records, to: folder + "/a.ttsr", from: SHA256Digest(of: [7]))
      return (bytes, records, try Streams.read(bytes).trailers[0])
    }
  }

  @Test func aShardCutAnywhereIsRefused() throws {
    let (bytes, _, _) = try shard()
    for count in 0..<bytes.count {
      #expect("cut at \(count)") { try Streams.read(Array(bytes[..<count])) } throws: {
        ($0 as? Failure)?.kind == .badInput
      }
    }
  }

  @Test func aFlippedBitIsRefusedOrChangesNothing() throws {
    let (bytes, records, trailer) = try shard()
    var harmless = 0
    for bit in 0..<bytes.count * 8 {
      var damaged = bytes
      damaged[bit / 8] ^= 1 << UInt8(bit % 8)
      do {
        let read = try Streams.read(damaged)
        #expect(read.records == records && read.trailers == [trailer], "bit \(bit)")
        harmless += 1
      } catch let failure as Failure {
        #expect(failure.kind == .badInput, "bit \(bit): \(failure)")
      }
    }
    #expect(harmless < 40)
  }

  /// The same where a file is read in any order, from its end.
  @Test func aFlippedBitIsRefusedOrChangesNothingInAFile() throws {
    let (bytes, records, trailer) = try shard()
    let folder = try ScratchFolder()
    var harmless = 0
    for bit in 0..<bytes.count * 8 {
      var damaged = bytes
      damaged[bit / 8] ^= 1 << UInt8(bit % 8)
      do {
        let file = try RecordFile(path: folder.write(damaged, to: "a.ttsr"))
        let read = try (0..<file.blockCount).flatMap { try file.readBlock($0) }
        #expect(read == records && file.trailers == [trailer], "bit \(bit)")
        harmless += 1
      } catch let failure as Failure {
        #expect(failure.kind == .badInput, "bit \(bit): \(failure)")
      }
    }
    #expect(harmless < 40)
  }
}
