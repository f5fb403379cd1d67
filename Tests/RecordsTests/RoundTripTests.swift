import Base
import Foundation
import Records
import Safetensors
import Testing

@Suite struct RoundTripTests {
  @Test func recordsAreReadAsWritten() throws {
    try Streams.withFolder { folder in
      for (seed, count) in [0, 1, 2, 300].enumerated() {
        let records = Streams.randomRecords(count, seed: UInt64(seed))
        try Streams.write(records, to: folder + "/a.ttsr", from: SHA256Digest(of: [1]))
        let read = try Streams.read(folder + "/a.ttsr")
        #expect(read.records == records)
        let trailer = try #require(read.trailers.first)
        #expect(trailer.tally.records == count)
        #expect(trailer.tally.rejected == records.count(where: \.isRejected))
        #expect(trailer.from == SHA256Digest(of: [1]))
        #expect(trailer.recordsPerBlock.reduce(0, +) == count)
      }
    }
  }

  @Test func blocksAreCutByData() throws {
    try Streams.withFolder { folder in
      let records = Streams.randomRecords(400, seed: 5, size: 60_000)
      try Streams.write(records, to: folder + "/a.ttsr")
      let trailer = try #require(try Streams.read(folder + "/a.ttsr").trailers.first)
      #expect(trailer.recordsPerBlock.count > 3)
      var big = Record(id: "big")
      big.arrays["audio"] = ArrayData(
        [Float](repeating: 0.25, count: 2 << 20), shape: [1, 2 << 20])
      try Streams.write([records[0], big, records[1]], to: folder + "/b.ttsr")
      #expect(try Streams.read(folder + "/b.ttsr").trailers.first?.recordsPerBlock == [1, 1, 1])
    }
  }

  @Test func contentDoesNotDependOnLevel() throws {
    try Streams.withFolder { folder in
      let records = Streams.randomRecords(50, seed: 9)
      var digests = Set<String>()
      for level in [RecordWriter.fastestLevel, 1, 3, 12] {
        try Streams.write(records, to: folder + "/a.ttsr", level: level)
        digests.insert(try Streams.read(folder + "/a.ttsr").trailers[0].orderedDigest.description)
      }
      #expect(digests.count == 1)
    }
  }

  @Test func zstdReadsIt() throws {
    try Streams.withFolder { folder in
      let records = Streams.randomRecords(20, seed: 3)
      try Streams.write(records, to: folder + "/a.ttsr")
      var expected: [UInt8] = []
      for record in records {
        let blob = try record.encoded()
        withUnsafeBytes(of: UInt64(blob.count).littleEndian) { expected.append(contentsOf: $0) }
        expected += blob
      }
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      process.arguments = ["zstd", "-dqf", folder + "/a.ttsr", "-o", folder + "/a"]
      try process.run()
      process.waitUntilExit()
      #expect(process.terminationStatus == 0)
      #expect(try Streams.bytes(of: folder + "/a") == expected)
    }
  }

  @Test func joinedStreamsAreAStream() throws {
    let (a, b) = (Streams.randomRecords(10, seed: 1), Streams.randomRecords(20, seed: 2))
    try Streams.withFolder { folder in
      let first = try Streams.write(a, to: folder + "/a.ttsr")
      let second = try Streams.write(b, to: folder + "/b.ttsr", header: StreamHeader())
      let joined = try Streams.read(first + second)
      #expect(joined.records == a + b)
      #expect(joined.trailers.count == 2)
      let whole = try Streams.write(a + b, to: folder + "/c.ttsr")
      let sum = joined.trailers[0].tally + joined.trailers[1].tally
      #expect(try Streams.read(whole).trailers[0].tally == sum)
      let other = try Streams.write((a + b).reversed(), to: folder + "/d.ttsr")
      #expect(try Streams.read(other).trailers[0].tally == sum)
    }
  }
}
