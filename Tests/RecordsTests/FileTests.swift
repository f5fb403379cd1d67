import Base
import Foundation
import Glibc
import Records
import Testing

@Suite struct FileTests {
  @Test func anyRecordIsReachable() throws {
    try Streams.withFolder { folder in
      let a = Streams.randomRecords(300, seed: 5, size: 60_000)
      let b = Streams.randomRecords(7, seed: 6)
      let bytes =
        try Streams.write(a, to: folder + "/a")
        + (try Streams.write([], to: folder + "/e")) + (try Streams.write(b, to: folder + "/b"))
      try Data(bytes).write(to: URL(fileURLWithPath: folder + "/c"))
      let file = try RecordFile(path: folder + "/c")
      #expect(file.count == 307 && file.segments.count == 3)
      #expect(file.segments.map(\.records) == [0..<300, 300..<300, 300..<307])
      var random = RandomNumbers(seed: 1)
      for _ in 0..<60 {
        let ordinal = random.index(below: 307)
        let expected = ordinal < 300 ? a[ordinal] : b[ordinal - 300]
        let found = try file.read(ordinal) == expected
        #expect(found)
      }
      var all: [Record] = []
      for block in 0..<file.blockCount { all += try file.readBlock(block) }
      let same = all == a + b
      #expect(same && file.tally.records == 307)
      #expect(throws: Failure.self) { try file.read(307) }
    }
  }

  @Test func aFileCutAnywhereIsNotOpened() throws {
    try Streams.withFolder { folder in
      let bytes = try Streams.write(Streams.randomRecords(4, seed: 2, size: 60), to: folder + "/a")
      for count in 0..<bytes.count {
        try Data(bytes[..<count]).write(to: URL(fileURLWithPath: folder + "/b"))
        #expect { try RecordFile(path: folder + "/b") } throws: {
          ($0 as? Failure)?.kind == .badInput
        }
      }
    }
  }

  /// Whatever bit is flipped: refused, or the same records.
  @Test func flippedBitsGiveNoOtherRecords() throws {
    try Streams.withFolder { folder in
      let records = Streams.randomRecords(2, seed: 2, size: 20)
      let bytes = try Streams.write(records, to: folder + "/b")
      let descriptor = open(folder + "/b", O_WRONLY)
      defer { close(descriptor) }
      for bit in 0..<bytes.count * 8 {
        var byte = bytes[bit / 8] ^ 1 << UInt8(bit % 8)
        pwrite(descriptor, &byte, 1, bit / 8)
        defer {
          byte = bytes[bit / 8]
          pwrite(descriptor, &byte, 1, bit / 8)
        }
        do {
          let file = try RecordFile(path: folder + "/b")
          let same = try (0..<file.count).map { try file.read($0) } == records
          #expect(same, "bit \(bit)")
        } catch let failure as Failure {
          #expect(failure.kind == .badInput, "bit \(bit): \(failure)")
        }
      }
    }
  }

  @Test func goodBlocksOfADamagedFileAreSaved() throws {
    try Streams.withFolder { folder in
      let records = Streams.randomRecords(400, seed: 5, size: 60_000)
      var bytes = try Streams.write(records, to: folder + "/a")
      let trailer = try Streams.read(bytes).trailers[0]
      bytes[bytes.count / 2] ^= 1
      try Data(bytes).write(to: URL(fileURLWithPath: folder + "/b"))
      var saved: [Record] = []
      let salvage = try Salvage(
        path: folder + "/b", header: { #expect($0 == Streams.header) },
        block: { saved += $0.records })
      #expect(salvage.lostBytes.count == 1 && salvage.lostRecords.count == 1)
      let lost = try #require(salvage.lostRecords.first).ordinals
      #expect(trailer.recordsPerBlock.contains(lost.count))
      var expected = records
      expected.removeSubrange(lost)
      let same = saved == expected
      #expect(same && salvage.recordCount == expected.count && !salvage.isWhole)
    }
  }

  @Test func aTruncatedOrHeadlessFileIsSavedAsFarAsItGoes() throws {
    try Streams.withFolder { folder in
      let records = Streams.randomRecords(300, seed: 5, size: 60_000)
      let bytes = try Streams.write(records, to: folder + "/a")
      try Data(bytes[..<(bytes.count * 3 / 4)]).write(to: URL(fileURLWithPath: folder + "/b"))
      var saved: [Record] = []
      let cut = try Salvage(path: folder + "/b", header: { _ in }, block: { saved += $0.records })
      let isPrefix = records.starts(with: saved, by: ==)
      #expect(isPrefix && !saved.isEmpty && cut.openSegments == 1)
      try Data(bytes[20...]).write(to: URL(fileURLWithPath: folder + "/b"))
      saved = []
      let headless = try Salvage(
        path: folder + "/b", header: { #expect($0 == nil) }, block: { saved += $0.records })
      let same = saved == records
      #expect(same && headless.lostBytes.count == 1 && headless.openSegments == 0)
    }
  }
}

@Suite struct AbortTests {
  @Test func theFirstFailureIsRelayed() throws {
    var ends: [Int32] = [0, 0]
    pipe(&ends)
    let writer = try RecordWriter(descriptor: ends[1], header: Streams.header)
    try writer.write(Record(id: "a"))
    let cause = Failure(.configuration, subject: "m", problem: "no model", remedy: "fetch it")
    try writer.abort(cause, stage: "tts-mimi-encode")
    close(ends[1])
    let reader = try RecordReader(descriptor: ends[0], path: "pipe", ownsDescriptor: true)
    #expect(try reader.next()?.id == "a")
    #expect { try reader.next() } throws: { error in
      let failure = error as? Failure
      return failure?.kind == .configuration && failure?.subject == "tts-mimi-encode"
        && failure?.problem == "m: no model; fetch it"
    }
    #expect(reader.upstreamAbort?.code == 78)
    #expect(throws: Failure.self) { try reader.next() }
  }

  @Test func aCutPipeIs74() throws {
    var ends: [Int32] = [0, 0]
    pipe(&ends)
    _ = try RecordWriter(descriptor: ends[1], header: Streams.header)
    close(ends[1])
    let reader = try RecordReader(descriptor: ends[0], path: "pipe", ownsDescriptor: true)
    #expect { try reader.next() } throws: { ($0 as? Failure)?.kind == .inputOutput }
  }

  @Test func anAbortedFileDoesNotExist() throws {
    try Streams.withFolder { folder in
      let writer = try RecordWriter(file: AtomicFile(path: folder + "/a"), header: Streams.header)
      try writer.write(Record(id: "a"))
      try writer.abort(Abort(stage: "x", code: 65, message: "m"))
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }

  @Test func segmentsKeepTheirHeaders() throws {
    try Streams.withFolder { folder in
      let writer = try RecordWriter(file: AtomicFile(path: folder + "/a"), header: StreamHeader())
      try writer.write(Record(id: "a"))
      try writer.startSegment(Streams.header, from: SHA256Digest(of: [1]))
      try writer.startSegment(StreamHeader())
      try writer.write(Record(id: "b"))
      try writer.finish()
      let reader = try RecordReader(path: folder + "/a")
      #expect(try reader.next()?.id == "a" && reader.header == StreamHeader())
      #expect(try reader.next()?.id == "b")
      #expect(try reader.next() == nil)
      #expect(reader.headers == [StreamHeader(), Streams.header, StreamHeader()])
      #expect(reader.trailers.map { $0.from == nil } == [false, true, true])
      #expect(reader.trailers.map(\.tally.records) == [1, 0, 1])
    }
  }

  @Test func stagesAreAGraph() {
    let header = Streams.header
    #expect(header.leaves == [header.stages[1].id])
    #expect(header.stages[1].parents == [header.stages[0].id])
    let other = StreamHeader().appending(Stage(tool: "tts-import", version: 2))
    let merged = StreamHeader.merging([header, other, header])
    #expect(merged.stages.count == 3 && merged.leaves.count == 2)
    let shard = merged.appending(Stage(tool: "tts-shard", version: 1))
    #expect(shard.leaves.count == 1 && shard.stages[3].parents == merged.leaves)
    #expect(shard.stages[3].ownID == Stage(tool: "tts-shard", version: 1).id)
  }
}
