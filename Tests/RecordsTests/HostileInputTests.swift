import Base
import Safetensors
import TestSupport
import Testing

@testable import Records

@Suite struct HostileInputTests {
  private static func skippable(_ magic: UInt32, _ content: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.appendLittleEndian(magic)
    bytes.appendLittleEndian(UInt32(content.count + 4))
    bytes += content
    bytes.appendLittleEndian(content.withUnsafeBytes { checksum($0) })
    return bytes
  }

  private static func header(version: UInt32 = 1, json: String = #"{"features":[],"stages":[]}"#)
    -> [UInt8]
  {
    var content = Array("ttsr".utf8)
    content.appendLittleEndian(version)
    return skippable(0x184D_2A50, content + Array(json.utf8))
  }

  private func failure(_ bytes: [UInt8]) -> Failure? {
    do {
      _ = try Streams.read(bytes)
      return nil
    } catch { return error as? Failure }
  }

  @Test func theSmallestStreamIsAsDocumented() throws {
    let bytes = try Streams.withFolder {
      try Streams.write([], to: $0 + "/a", header: StreamHeader())
    }
    #expect(bytes.count == 447)
    #expect(Array(bytes[..<47]) == Self.header())
    #expect(try Streams.read(bytes).trailers.count == 1)
  }

  @Test func aNewerVersionIs76() throws {
    #expect(failure(Self.header(version: 2))?.kind == .unsupportedFormat)
    #expect(failure(Self.header(version: .max, json: "anything"))?.kind == .unsupportedFormat)
    #expect(failure(Self.header(version: 0))?.kind == .badInput)
    #expect(
      failure(Self.header(json: #"{"features":["x"],"stages":[]}"#))?.kind == .unsupportedFormat)
  }

  @Test(arguments: [
    #"{"features":[], "stages":[]}"#, #"{"stages":[],"features":[]}"#, #"{"stages":[]}"#, "[]", "",
    #"{"features":[1],"stages":[]}"#, #"{"features":[],"stages":[{}]}"#,
    #"{"features":[],"stages":[{"models":{},"parameters":{},"parents":["x"],"tool":"t","version":1}]}"#,
  ])
  func wrongHeadersAreRefused(_ json: String) {
    #expect(failure(Self.header(json: json))?.kind == .badInput)
  }

  @Test func otherFilesAreNoStreams() {
    for bytes: [UInt8] in [[], [1], Array("Hello, world. This is text.".utf8), [0x50, 0x2A]] {
      #expect(failure(bytes)?.kind == .badInput)
    }
    let zstd = try? "abc".utf8.withContiguousStorageIfAvailable {
      try Zstandard.compress(UnsafeRawBufferPointer($0), level: 3)
    }
    #expect(failure((zstd ?? nil) ?? [])?.kind == .badInput)
  }

  /// Claims of any size are refused before memory is taken for them.
  @Test func claimsAreNotBelieved() {
    for size: UInt32 in [.max, 1 << 31, 17 << 20] {
      var bytes: [UInt8] = [0x50, 0x2A, 0x4D, 0x18]
      bytes.appendLittleEndian(size)
      #expect(failure(bytes + Array("ttsr".utf8))?.kind == .badInput)
    }
    // A block that claims 2^60 bytes, or 100 MiB that it cannot hold.
    for claim: UInt64 in [1 << 60, .max, 100 << 20] {
      var frame: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0xE4]
      frame.appendLittleEndian(claim)
      frame += [1, 0, 0] + [0, 0, 0, 0]
      let failure = failure(Self.header() + frame)
      #expect(failure?.kind == .badInput)
      #expect(failure?.problem.contains("claims") == true)
    }
    // A record that claims 2^60 bytes in a sound block.
    var content: [UInt8] = []
    content.appendLittleEndian(UInt64(1) << 60)
    content += [UInt8](repeating: 0, count: 24)
    let frame = try? content.withUnsafeBytes { try Zstandard.compress($0, level: 3) }
    #expect(failure(Self.header() + (frame ?? []))?.problem.contains("claims") == true)
  }

  @Test func blocksHoldWholeGoodRecordsOnly() throws {
    let blob = try Record(id: "a").encoded()
    func stream(_ content: [UInt8]) throws -> [UInt8] {
      Self.header() + (try content.withUnsafeBytes { try Zstandard.compress($0, level: 3) })
    }
    func prefixed(_ blob: [UInt8]) -> [UInt8] {
      var bytes: [UInt8] = []
      bytes.appendLittleEndian(UInt64(blob.count))
      return bytes + blob
    }
    #expect(failure(try stream(prefixed(blob) + [0]))?.problem.contains("after the last") == true)
    #expect(failure(try stream(prefixed(blob + [0])))?.kind == .badInput)
    #expect(failure(try stream(prefixed([])))?.kind == .badInput)
    let many = [[UInt8]](repeating: prefixed(blob), count: (4 << 20) / blob.count).flatMap { $0 }
    #expect(failure(try stream(many))?.problem.contains("several records") == true)
  }

  @Test func idsAreChecked() throws {
    for id in ["", "a b", "a\nb", "\u{7F}", String(repeating: "x", count: 4097)] {
      #expect(throws: Failure.self) { try Record(id: id).encoded() }
    }
    var record = Record(id: "a")
    record.metadata["id"] = nil
    #expect(throws: Failure.self) { try record.encoded() }
    #expect(Record.id(from: "a b%\u{A0}\n") == "a%20b%25%C2%A0%0A")
  }

  @Test func recordsOverTheLimitAreRefused() throws {
    var record = Record(id: "a")
    record.arrays["x"] = try .init(
      type: .u8, shape: [64 << 20], bytes: [UInt8](repeating: 0, count: 64 << 20))
    #expect { try record.encoded() } throws: { ($0 as? Failure)?.kind == .badInput }
  }

  /// Counts that no block can hold, and sums of them, are no numbers to calculate with.
  @Test func claimedCountsAreNotBelieved() throws {
    let folder = try ScratchFolder()
    let bytes = try Streams.write([Record(id: "a")], to: folder.file("a"))
    let table = SeekTable.size(frames: 3)
    for claim in [Int.max, Int.max / 2, 1 << 60] {
      var trailer = try Streams.read(bytes).trailers[0]
      let old = MetaFrame.frame(trailer).count
      trailer.tally.records = claim
      trailer.tally.bytes = claim
      trailer.recordsPerBlock = [claim]
      let new = MetaFrame.frame(trailer)
      var entries = SeekTable()
      let start = bytes.count - table
      let former = try #require(
        bytes[start...].withUnsafeBytes { SeekTable(frame: $0.piece(0..<$0.count)) })
      entries.entries = former.entries
      entries.entries[2].compressed = UInt32(new.count)
      let lying = Array(bytes[..<(start - old)]) + new + entries.frame
      #expect {
        try RecordFile(path: folder.write(lying + lying + lying, to: "b"))
      } throws: { ($0 as? Failure)?.kind == .badInput }
      #expect(failure(lying + lying)?.kind == .badInput)
      #expect((trailer.tally + trailer.tally + trailer.tally).records >= claim)
    }
  }

  @Test func aNewerFileIsNotRecovered() throws {
    let folder = try ScratchFolder()
    let bytes = try Streams.write([Record(id: "a")], to: folder.file("a"), header: StreamHeader())
    let newer = Self.header(version: 2) + bytes.dropFirst(Self.header().count)
    #expect {
      try Salvage(path: folder.write(newer, to: "b"), header: { _ in }, block: { _ in })
    } throws: { ($0 as? Failure)?.kind == .unsupportedFormat }
  }

  @Test func trailersAndTablesAreCompared() throws {
    let records = Streams.randomRecords(3, seed: 1)
    let bytes = try Streams.withFolder { try Streams.write(records, to: $0 + "/a") }
    let trailer = try Streams.read(bytes).trailers[0]
    var changed: [Trailer] = []
    for change: (inout Trailer) -> Void in [
      { $0.tally.records += 1 }, { $0.tally.rejected += 1 }, { $0.tally.bytes -= 1 },
      { $0.tally.digest = .zero }, { $0.tally.ids = .zero }, { $0.orderedDigest = .zero },
      { $0.tally.samples[1] = 1 }, { $0.tally.frames["1"] = 1 }, { $0.recordsPerBlock = [1, 2] },
    ] {
      var copy = trailer
      change(&copy)
      changed.append(copy)
    }
    let old = MetaFrame.frame(trailer)
    let place = bytes.count - SeekTable.size(frames: 3) - old.count
    for wrong in changed {
      let new = MetaFrame.frame(wrong)
      let stream = Array(bytes[..<place]) + new + Array(bytes[(place + old.count)...])
      #expect(failure(stream)?.kind == .badInput)
    }
  }
}
