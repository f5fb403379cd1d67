import Base
import Foundation
import Records
import TestSupport
import Testing

@Suite(.enabled(if: isBuilt("tts-shard"))) struct ShardTests {
  let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  func stream(_ records: [Record], _ name: String = "in.ttsr") throws -> String {
    try writeStream(
      records, to: folder.file(name), header: StreamHeader().appending(Stage(tool: "t", version: 1))
    )
    return folder.file(name)
  }

  func shard(_ arguments: [String]) throws -> ProcessResult {
    try runTool("tts-shard", arguments, directory: folder.path)
  }

  func names(_ part: String = "") throws -> [String] {
    try folder.names().filter { $0.contains(part) }
  }

  func ids(_ names: [String]) throws -> [String] {
    try names.flatMap { try readStream(folder.file($0)).map(\.id) }
  }

  @Test func recordsAreCutIntoShards() throws {
    let input = try stream((0..<25).map { makeTextRecord(id: "r\($0)") })
    let result = try shard([input, "-o", "out/train-%05d.ttsr", "--max-records", "10"])
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.errors.isEmpty)
    let files = try FileManager.default.contentsOfDirectory(atPath: folder.file("out")).sorted()
    #expect(
      files == ["train-00000.ttsr", "train-00001.ttsr", "train-00002.ttsr", "train.manifest.json"])
    #expect(try ids(files.prefix(3).map { "out/\($0)" }) == (0..<25).map { "r\($0)" })
    let manifest = try ShardManifest(path: folder.file("out/train.manifest.json"))
    #expect(manifest.files.map(\.tally.records) == [10, 10, 5])
    // Digests add up: nothing was lost or doubled.
    let reader = try RecordReader(path: input)
    while try reader.next() != nil {}
    #expect(manifest.from == reader.inputDigest)
    #expect(manifest.tally.digest == reader.inputDigest)
    try ShardManifest.check(files.prefix(3).map { folder.file("out/\($0)") })
    let header = try RecordReader(path: folder.file("out/train-00001.ttsr")).header
    #expect(header.stages.map(\.tool) == ["t", "tts-shard"])
  }

  @Test func sizeLimitsAShard() throws {
    let input = try stream((0..<9).map { makeRecord(id: "r\($0)", seconds: 0.5) })
    #expect(try shard([input, "-o", "s-%d.ttsr", "--max-size", "100K"]).code == 0)
    #expect(try names("s-").count == 5)
  }

  @Test func partsOfAnIDStayTogether() throws {
    let input = try stream(
      [makeTextRecord(id: "a")] + makeParts(id: "long", parts: 6, secondsEach: 0.01)
        + [makeTextRecord(id: "b")])
    #expect(try shard([input, "-o", "s-%d.ttsr", "--max-records", "2"]).code == 0)
    #expect(try readStream(folder.file("s-1.ttsr")).map(\.part) == [0, 1, 2, 3, 4, 5])
    #expect(try ids(names("s-")).count == 8)
  }

  @Test func aRecordingOfHoursMayBeShuffled() throws {
    let input = try stream(
      makeParts(id: "long", parts: 5, secondsEach: 60) + [makeTextRecord(id: "b")])
    let result = try shard([input, "-o", "s-%d.ttsr", "--shuffle", "3"])
    #expect(result.code == 0, "\(result.errors)")
    let made = try readStream(folder.file("s-0.ttsr"))
    let original = try readStream(input)
    #expect(made.filter { $0.id == "long" } == original.filter { $0.id == "long" })
    #expect(made.count == 6)
    #expect(try !names().contains { $0.contains(".tmp-") })
  }

  @Test func shufflingDependsOnTheSeedAlone() throws {
    let records = (0..<300).map { makeTextRecord(id: "r\($0)") }
    let input = try stream(records)
    let reversed = try stream(records.reversed(), "reversed.ttsr")
    #expect(try shard([input, "-o", "a-%d.ttsr", "--shuffle", "7"]).code == 0)
    #expect(try shard([reversed, "-o", "b-%d.ttsr", "--shuffle", "7", "-T", "1"]).code == 0)
    #expect(try shard([input, "-o", "c-%d.ttsr", "--shuffle", "8"]).code == 0)
    let order = try ids(["a-0.ttsr"])
    #expect(try order == ids(["b-0.ttsr"]))
    #expect(try order != ids(["c-0.ttsr"]))
    #expect(order != records.map(\.id))
    #expect(Set(order) == Set(records.map(\.id)))
    #expect(try folder.read("a-0.ttsr") == folder.read("b-0.ttsr"))
  }

  @Test func aSplitGoesByTheID() throws {
    let records = (0..<1000).map { makeTextRecord(id: "r\($0)") }
    let input = try stream(records)
    let split = ["--split", "train=0.9,valid=0.1"]
    let result = try shard([input, "-o", "{split}/%d.ttsr"] + split)
    #expect(result.code == 0, "\(result.errors)")
    let valid = try ids(["valid/0.ttsr"])
    #expect((70...130).contains(valid.count))
    #expect(try ids(["train/0.ttsr"]).count + valid.count == 1000)
    // Other records beside it and another order change nothing for an id.
    let other = try stream(records.reversed().filter { $0.id.hasSuffix("7") }, "other.ttsr")
    #expect(try shard([other, "-o", "{split}-%d.ttsr", "--shuffle", "1"] + split).code == 0)
    #expect(try Set(ids(["valid-0.ttsr"])) == Set(valid.filter { $0.hasSuffix("7") }))
    #expect(folder.has("valid/manifest.json"))
    #expect(folder.has("valid.manifest.json"))
  }

  @Test func rejectedIDsAreLeftOut() throws {
    var bad = makeTextRecord(id: "bad")
    bad.reject("tts-other: no")
    var parts = makeParts(id: "long", parts: 3, secondsEach: 0.01)
    parts[2].reject("tts-other: no")
    let input = try stream([makeTextRecord(id: "a"), bad] + parts + [makeTextRecord(id: "z")])
    let result = try shard([input, "-o", "s-%d.ttsr"])
    #expect(result.code == 0)
    #expect(result.errors == "tts-shard: left out 2 rejected ids\n")
    #expect(try ids(["s-0.ttsr"]) == ["a", "z"])
    #expect(try ShardManifest(path: folder.file("s.manifest.json")).leftOut == (2, 4))
  }

  @Test func duplicateIDsAreRefused() throws {
    let one = try stream((0..<50).map { makeTextRecord(id: "r\($0)") }, "one.ttsr")
    let two = try stream([makeTextRecord(id: "r42")], "two.ttsr")
    let result = try shard([one, two, "-o", "s-%d.ttsr"])
    #expect(result.code == 65)
    #expect(result.errors.hasPrefix("tts-shard: \(two): record 'r42': the id occurs in \(one) too"))
    #expect(try names("s-").isEmpty)
    #expect(try names(".tmp-").isEmpty)
  }

  @Test func duplicatesAreFoundAmongMoreIDsThanMemoryHolds() throws {
    let long = String(repeating: "x", count: 1500)
    let ids = (0..<6000).map { "\(long)\($0)" }
    try writeStream(
      ids.lazy.map { Record(id: $0) }, to: folder.file("in.ttsr"))
    let good = try shard([folder.file("in.ttsr"), "-o", "s-%d.ttsr"])
    #expect(good.code == 0, "\(good.errors)")
    let two = try stream([Record(id: ids[2345])], "two.ttsr")
    #expect(try shard([folder.file("in.ttsr"), two, "-o", "t-%d.ttsr"]).code == 65)
    #expect(try names(".tmp-").isEmpty)
  }

  @Test func anEarlierSetGoes() throws {
    let many = try stream((0..<30).map { makeTextRecord(id: "r\($0)") }, "many.ttsr")
    let few = try stream([makeTextRecord(id: "r")], "few.ttsr")
    let split = ["--split", "train=0.5,valid=0.25,test=0.25", "--max-records", "2"]
    #expect(try shard([many, "-o", "{split}-%03d.ttsr"] + split).code == 0)
    #expect(folder.has("test-000.ttsr"))
    try folder.write("mine", to: "train-notes.ttsr")
    try folder.write("mine", to: "train-7.ttsr")
    #expect(
      try shard([few, "-o", "{split}-%03d.ttsr", "--split", "train=0.5,valid=0.5"]).code == 0)
    #expect(
      try names("-") == [
        "train-000.ttsr", "train-7.ttsr", "train-notes.ttsr", "valid-000.ttsr",
      ])
    #expect(try names("manifest") == ["train.manifest.json", "valid.manifest.json"])
  }

  @Test func aFailureKeepsTheEarlierSet() throws {
    let good = try stream((0..<3).map { makeTextRecord(id: "r\($0)") })
    #expect(try shard([good, "-o", "s-%d.ttsr"]).code == 0)
    let before = try folder.read("s-0.ttsr")
    try writeAbortedStream(
      [makeTextRecord(id: "x")], to: folder.file("aborted.ttsr"), stage: "tts-first", code: 69,
      message: "the device went away")
    let result = try shard([folder.file("aborted.ttsr"), "-o", "s-%d.ttsr"])
    #expect(result.code == 69)
    #expect(result.errors.contains("the device went away"))
    #expect(try folder.read("s-0.ttsr") == before)
    #expect(try names(".tmp-").isEmpty)
    let cut = try runShell(
      "head -c \(before.count / 2) s-0.ttsr | tts-shard -o 's-%d.ttsr'", directory: folder.path)
    #expect(cut.code == 74)
    #expect(try folder.read("s-0.ttsr") == before)
  }

  @Test func noRecordsMakeOneEmptyShard() throws {
    let input = try stream([])
    #expect(try shard([input, "-o", "s-%d.ttsr"]).code == 0)
    #expect(try ids(["s-0.ttsr"]).isEmpty)
    #expect(try ShardManifest(path: folder.file("s.manifest.json")).files.count == 1)
  }

  @Test(arguments: ["s.ttsr", "s-%d-%d.ttsr", "s-%x.ttsr", "%d/s.ttsr", "s-%5d.ttsr"])
  func aWrongPatternIsRefused(_ pattern: String) throws {
    #expect(try shard([stream([]), "-o", pattern]).code == 64)
  }

  @Test func splitAndPatternMustAgree() throws {
    let input = try stream([])
    #expect(try shard([input, "-o", "{split}-%d.ttsr"]).code == 64)
    #expect(try shard([input, "-o", "s-%d.ttsr", "--split", "a=0.5,b=0.5"]).code == 64)
    #expect(try shard([input, "-o", "{split}-%d.ttsr", "--split", "a=0.5,b=0.6"]).code == 64)
    #expect(
      try shard([
        input, "-o", "{split}-%d.ttsr", "--split", "a=0.5,b=0.5", "--manifest", "m.json",
      ]).code == 64)
  }

  @Test func aManifestMayStandElsewhere() throws {
    let input = try stream([makeTextRecord(id: "a")])
    #expect(try shard([input, "-o", "out/s-%d.ttsr", "--manifest", "m.json"]).code == 0)
    let manifest = try ShardManifest(path: folder.file("m.json"))
    #expect(manifest.files.map(\.name) == ["out/s-0.ttsr"])
  }

  @Test func unlistedAndChangedShardsAreRefused() throws {
    let input = try stream((0..<4).map { makeTextRecord(id: "r\($0)") })
    #expect(try shard([input, "-o", "s-%d.ttsr", "--max-records", "2"]).code == 0)
    try ShardManifest.check([folder.file("s-0.ttsr"), folder.file("s-1.ttsr")])
    try folder.write(folder.read("s-1.ttsr"), to: "s-2.ttsr")
    #expect(throws: Failure.self) { try ShardManifest.check([folder.file("s-2.ttsr")]) }
    try folder.write(folder.read("s-1.ttsr") + [0], to: "s-1.ttsr")
    #expect(throws: Failure.self) { try ShardManifest.check([folder.file("s-1.ttsr")]) }
  }
}
