import ArgumentParser
import Base
import Records
import TestSupport
import Testing

@testable import Filters

/// Appends to every text how many parts of the id were seen; refuses what contains "bad".
struct Counting: RecordFilter {
  static let tool = ToolDescription(name: "tts-counting", abstract: "Count parts.")
  @OptionGroup var stream: StreamOptions

  func stage() -> StageParameters { StageParameters(["by": "part"]) }
  func makeWorker(_ run: ToolRun) -> CountingWorker { CountingWorker() }
}

struct CountingWorker: RecordWorker {
  func initialState(id: String) -> Int { 0 }

  func process(_ record: Record, _ state: inout Int) throws -> [Record] {
    state += 1
    var record = record
    if record.text?.contains("bad") == true {
      throw Failure(.badInput, problem: "the text is bad")
    }
    if record.text?.contains("broken") == true {
      throw Failure(.configuration, subject: "model", problem: "broken")
    }
    if record.text?.contains("twice") == true { return [record, record] }
    if record.text?.contains("none") == true { return [] }
    record.text = (record.text ?? "") + "\(state)"
    return [record]
  }

  func finish(_ state: inout Int) throws -> [Record] {
    guard state > 1 else { return [] }
    return [makeTextRecord(id: "end", text: "\(state)")]
  }
}

@Suite struct FilterTests {
  let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  func filter(_ records: [Record], _ options: [String] = []) throws -> [Record] {
    let input = folder.file("in-\(records.count).ttsr")
    try writeStream(records, to: input)
    return try filter(input, options)
  }

  func filter(_ input: String, _ options: [String] = []) throws -> [Record] {
    let tool = try Counting.parse([input, "-o", folder.file("out.ttsr"), "-q"] + options)
    try tool.execute(ToolRun(Counting.tool, tool.common))
    return try readStream(folder.file("out.ttsr"))
  }

  @Test func recordsKeepTheirOrder() throws {
    let records = (0..<500).map { makeTextRecord(id: "r\($0)", text: "t\($0)-") }
    for threads in ["1", "4"] {
      let made = try filter(records, ["-T", threads])
      #expect(made.map(\.id) == records.map(\.id))
      #expect(made.map(\.text) == records.indices.map { "t\($0)-1" })
    }
  }

  @Test func partsOfAnIDShareAState() throws {
    var records: [Record] = []
    for index in 0..<40 {
      records += makeParts(id: "p\(index)", parts: 1 + index % 7, secondsEach: 0.01)
    }
    let one = try filter(records, ["-T", "1"])
    #expect(try filter(records, ["-T", "4"]) == one)
    #expect(one.filter { $0.id == "p6" }.map(\.text) == ["Long.1"] + (2...7).map { "\($0)" })
    #expect(one.filter { $0.id == "end" }.count == 34)
  }

  @Test func oneRecordMayBecomeSeveralOrNone() throws {
    let texts = ["a", "twice", "none", "b"]
    let made = try filter(texts.map { makeTextRecord(id: $0, text: $0) })
    #expect(made.map(\.id) == ["a", "twice", "twice", "b"])
  }

  @Test func aBadRecordIsKeptAndMarked() throws {
    let made = try filter([
      makeTextRecord(id: "a"), makeTextRecord(id: "b", text: "bad"), makeTextRecord(id: "c"),
    ])
    #expect(made.map(\.isRejected) == [false, true, false])
    #expect(made[1].text == "bad")
    #expect(made[1].rejections == ["tts-counting: the text is bad"])
  }

  @Test func aBadPartTakesTheLaterPartsAlong() throws {
    var parts = makeParts(id: "p", parts: 4, secondsEach: 0.01)
    parts[1].text = "bad"
    let made = try filter(parts + [makeTextRecord(id: "q", text: "q")])
    #expect(made.map(\.isRejected) == [false, true, true, true, false])
    #expect(made.map(\.id) == ["p", "p", "p", "p", "q"])
  }

  @Test func rejectedRecordsPassUnprocessed() throws {
    var bad = makeTextRecord(id: "b", text: "broken")
    bad.reject("tts-other: no")
    let made = try filter([makeTextRecord(id: "a", text: "a"), bad])
    #expect(made[1] == bad)
  }

  @Test func failStopsTheRun() throws {
    let error = #expect(throws: Failure.self) {
      try filter([makeTextRecord(id: "b", text: "bad")], ["--on-error", "fail"])
    }
    #expect(error?.kind == .badInput)
    #expect(error?.record == "b")
    #expect(error?.subject?.hasSuffix("in-1.ttsr") == true)
    #expect(!folder.has("out.ttsr"))
  }

  @Test func whatIsNotTheRecordsFaultStopsTheRun() throws {
    let error = #expect(throws: Failure.self) {
      try filter([makeTextRecord(id: "b", text: "broken")])
    }
    #expect(error?.kind == .configuration)
    #expect(!folder.has("out.ttsr"))
  }

  @Test func tooManyRejectsStopTheRun() throws {
    let records = (0..<12).map { makeTextRecord(id: "r\($0)", text: "bad") }
    #expect(throws: Failure.self) { try filter(records) }
    #expect(try filter(Array(records.prefix(10))).count == 10)
    #expect(throws: Failure.self) { try filter(records, ["--max-rejected", "3"]) }
    #expect(try filter(records, ["--max-rejected", "100%"]).count == 12)
  }

  @Test func anUpstreamFailureIsRelayed() throws {
    let path = folder.file("aborted.ttsr")
    try writeAbortedStream([makeTextRecord(id: "a")], to: path, code: 78, message: "no such model")
    let error = #expect(throws: Failure.self) { try filter(path) }
    #expect(error?.kind == .configuration)
    #expect(error?.problem.contains("no such model") == true)
    #expect(!folder.has("out.ttsr"))
  }

  @Test func theStageIsAppended() throws {
    let first = Stage(tool: "tts-import", version: 1)
    try writeStream(
      [makeTextRecord(id: "a")], to: folder.file("a.ttsr"),
      header: StreamHeader().appending(first))
    _ = try filter(folder.file("a.ttsr"))
    let header = try RecordReader(path: folder.file("out.ttsr")).header
    #expect(header.stages.map(\.tool) == ["tts-import", "tts-counting"])
    #expect(header.stages.last?.parents == [first.id])
    #expect(header.stages.last?.parameters == ["by": "part"])
  }

  @Test func joinedStreamsKeepTheirHistories() throws {
    for name in ["a", "b"] {
      try writeStream(
        [makeTextRecord(id: name)], to: folder.file("\(name).ttsr"),
        header: StreamHeader().appending(Stage(tool: "tts-\(name)", version: 1)))
    }
    #expect(try filter(folder.file("a.ttsr"), [folder.file("b.ttsr")]).map(\.id) == ["a", "b"])
    let reader = try RecordReader(path: folder.file("out.ttsr"))
    _ = try reader.next()
    #expect(reader.header.stages.first?.tool == "tts-a")
    _ = try reader.next()
    #expect(reader.header.stages.first?.tool == "tts-b")
  }

  @Test func anEmptyStreamIsAResult() throws {
    #expect(try filter([]).isEmpty)
    let header = try RecordReader(path: folder.file("out.ttsr")).header
    #expect(header.stages.map(\.tool) == ["tts-counting"])
  }

  @Test func aShareOfTheOperandsIsRead() throws {
    for name in ["c", "a", "b"] {
      try writeStream([makeTextRecord(id: name)], to: folder.file("\(name).ttsr"))
    }
    let rest = [folder.file("a.ttsr"), folder.file("b.ttsr")]
    let made = try filter(folder.file("c.ttsr"), rest + ["--shard", "0/2"])
    #expect(made.map(\.id) == ["a", "c"])
    #expect(try filter(folder.file("c.ttsr"), rest + ["--shard", "3/4"]).isEmpty)
  }

  @Test func scatteredPartsAreRefused() throws {
    let parts = makeParts(id: "p", parts: 3, secondsEach: 0.01)
    for wrong in [
      [parts[1], parts[2]], [parts[0], parts[2]], [parts[0]], [parts[0], makeTextRecord(id: "x")],
    ] {
      let error = #expect(throws: Failure.self) { try filter(wrong) }
      #expect(error?.kind == .badInput)
    }
  }
}
