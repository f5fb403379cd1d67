import Base
import Foundation
import Records
import Safetensors
import TestSupport
import Testing

/// What every filter does with the content of records.
@Suite struct FilterContent {
  let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  func run(_ tool: ToolUnderTest, _ arguments: [String], input: [UInt8]? = nil) throws
    -> ProcessResult
  {
    try runTool(tool.name, (tool.neededArguments ?? []) + arguments, input: input)
  }

  @Test(arguments: ToolUnderTest.filters)
  func whatIsUnknownPassesUntouched(_ tool: ToolUnderTest) throws {
    var record = makeRecord(id: "a", seconds: 2)
    let odd = try ArrayData(type: .bf16, shape: [2, 3], bytes: Array(0..<12))
    record.arrays["x.odd"] = odd
    record.metadata["odd key"] = "odd value\n\u{1F600}"
    try writeStream([record], to: folder.file("in.ttsr"))
    let result = try run(tool, [folder.file("in.ttsr")])
    #expect(result.code == 0, "\(result.errors)")
    let made = try readStream(result.output)
    #expect(!made.isEmpty)
    for record in made {
      #expect(record.arrays["x.odd"] == odd)
      #expect(record.metadata["odd key"] == "odd value\n\u{1F600}")
      #expect(!record.isRejected, "\(record.rejections)")
    }
  }

  @Test(arguments: ToolUnderTest.filters)
  func rejectedRecordsPassUntouched(_ tool: ToolUnderTest) throws {
    var bad = makeRecord(id: "b", seconds: 0.5)
    bad.reject("tts-other: no good")
    try writeStream([makeRecord(id: "a"), bad, makeRecord(id: "c")], to: folder.file("in.ttsr"))
    let result = try run(tool, [folder.file("in.ttsr")])
    #expect(result.code == 0, "\(result.errors)")
    let made = try readStream(result.output)
    #expect(made.filter { $0.id == "b" } == [bad])
  }

  @Test(arguments: ToolUnderTest.filters)
  func aRecordThatCannotBeProcessedIsKeptAndMarked(_ tool: ToolUnderTest) throws {
    // Nothing to work on: no audio, no text, no latents.
    try writeStream([Record(id: "empty")], to: folder.file("in.ttsr"))
    let result = try run(tool, [folder.file("in.ttsr")])
    #expect(result.code == 0, "\(result.errors)")
    let made = try readStream(result.output)
    #expect(made.map(\.id) == ["empty"])
    #expect(made.first?.isRejected == true)
    #expect(made.first?.rejections.first?.hasPrefix("\(tool.name): ") == true)
    let strict = try run(tool, ["--on-error", "fail", folder.file("in.ttsr")])
    #expect(strict.code == 65)
    #expect(strict.errors.contains("record 'empty': "))
    let none = try run(tool, ["--max-rejected", "0", folder.file("in.ttsr")])
    #expect(none.code == 65)
  }

  @Test(arguments: ToolUnderTest.filters)
  func anEmptyStreamIsAResult(_ tool: ToolUnderTest) throws {
    try writeStream([], to: folder.file("in.ttsr"))
    let result = try run(tool, [folder.file("in.ttsr"), "-o", folder.file("out.ttsr")])
    #expect(result.code == 0, "\(result.errors)")
    let reader = try RecordReader(path: folder.file("out.ttsr"))
    #expect(try reader.next() == nil)
    #expect(reader.header.stages.map(\.tool) == [tool.name])
  }

  @Test(arguments: ToolUnderTest.filters)
  func theStageIsInTheHeader(_ tool: ToolUnderTest) throws {
    let first = Stage(tool: "tts-first", version: 3)
    try writeStream(
      [makeRecord(id: "a")], to: folder.file("in.ttsr"), header: StreamHeader().appending(first))
    #expect(try run(tool, [folder.file("in.ttsr"), "-o", folder.file("out.ttsr")]).code == 0)
    let reader = try RecordReader(path: folder.file("out.ttsr"))
    var stage = try #require(reader.header.stages.last)
    #expect(reader.header.stages.first == first)
    #expect(stage.parents == [first.id])
    while try reader.next() != nil {}
    let input = try RecordReader(path: folder.file("in.ttsr"))
    while try input.next() != nil {}
    #expect(reader.trailers.first?.from == input.inputDigest)
    // --stage-id says the same, without reading anything.
    stage.parents = []
    let id = try run(tool, ["--stage-id", "-T", "3", folder.file("missing.ttsr")])
    #expect(id.code == 0, "\(id.errors)")
    #expect(id.text == stage.id + "\n")
    for value in Array(stage.parameters.values) + Array(stage.models.values) {
      #expect(!value.contains(folder.path) && !value.contains(packageFolder), "a path: \(value)")
    }
  }

  @Test(arguments: ToolUnderTest.filters)
  func aReportIsWrittenAlsoOnFailure(_ tool: ToolUnderTest) throws {
    try writeStream([makeRecord(id: "a")], to: folder.file("in.ttsr"))
    for (input, code) in [("in.ttsr", 0), ("missing.ttsr", 66)] {
      let report = folder.file("report.json")
      let result = try run(
        tool,
        [folder.file(input), "-o", folder.file("out.ttsr"), "--report", report, "--log", "json"])
      #expect(result.code == Int32(code))
      let json = try JSON.parse(folder.read("report.json"))
      #expect(json["exit_code"]?.integer == code)
      #expect(json["tool"]?.string?.hasPrefix(tool.name) == true)
      if code == 0 { #expect(json["counts"]?["written"]?.integer ?? 0 >= 1) }
      for line in result.errors.split(separator: "\n") {
        #expect(try JSON.parse(text: String(line))["tool"]?.string == tool.name)
      }
    }
  }

  @Test(arguments: ToolUnderTest.filters)
  func memoryIsFlat(_ tool: ToolUnderTest) throws {
    let record = makeRecord(id: "r", seconds: 1)
    func peak(_ count: Int) throws -> Int {
      let path = folder.file("\(count).ttsr")
      try writeStream(
        (0..<count).lazy.map { index in
          var copy = record
          copy.id = "r\(index)"
          return copy
        }, to: path)
      let (result, peak) = try runMeasured(
        tool.name,
        (tool.neededArguments ?? []) + ["-T", "2", path, "-o", folder.file("out.ttsr")])
      #expect(result.code == 0, "\(result.errors)")
      return peak
    }
    // The first 1,000 fill what is bounded; 1,000 more of 96 kB would be 96 MB.
    let few = try peak(1000)
    let many = try peak(2000)
    #expect(
      many - few < 40 << 20, "\(few >> 20) MiB at 1,000 records, \(many >> 20) MiB at 2,000")
  }
}
