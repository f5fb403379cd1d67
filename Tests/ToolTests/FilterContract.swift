import Base
import Foundation
import Records
import Safetensors
import TestSupport
import Testing

/// What every filter over record streams does the same way.
@Suite struct FilterContract {
  /// Streams that all tests read.
  struct Inputs {
    let folder: ScratchFolder
    let good: String
    let parts: String
    let goodBytes: [UInt8]

    init() throws {
      folder = try ScratchFolder()
      good = folder.file("good.ttsr")
      var records = (0..<8).map {
        makeRecord(id: "r\($0)", seconds: 1.5, text: "Hello number \($0).", speaker: "s\($0 % 2)")
      }
      records[3] = makeRecord(id: "r3", seconds: 0, text: "")
      try writeStream(records, to: good)
      parts = folder.file("parts.ttsr")
      try writeStream(
        records.prefix(2) + makeParts(id: "long", parts: 5) + records.suffix(2), to: parts)
      goodBytes = try folder.read("good.ttsr")
    }
  }

  let inputs: Inputs

  init() throws { inputs = try Inputs() }

  var folder: ScratchFolder { inputs.folder }

  func run(_ tool: ToolUnderTest, _ arguments: [String], input: [UInt8]? = nil) throws
    -> ProcessResult
  {
    try runTool(tool.name, (tool.neededArguments ?? []) + arguments, input: input)
  }

  /// A command line for plain sh.
  func line(_ tool: ToolUnderTest, _ arguments: String = "") -> String {
    ([tool.name] + (tool.neededArguments ?? [])).map { "'\($0)'" }.joined(separator: " ") + " "
      + arguments
  }

  @Test(arguments: ToolUnderTest.filters)
  func theOutputDoesNotDependOnThreads(_ tool: ToolUnderTest) throws {
    for input in [inputs.good, inputs.parts] {
      let one = try run(tool, ["-T", "1", input])
      #expect(one.code == 0, "\(one.errors)")
      let four = try run(tool, ["-T", "4", input])
      #expect(one.output == four.output)
      #expect(
        try run(
          tool, ["-T", "3"], input: Array(folder.read((input as NSString).lastPathComponent))
        ).output == one.output)
      #expect(!one.output.isEmpty)
    }
  }

  @Test(arguments: ToolUnderTest.filters)
  func aFileAndStandardOutputGetTheSame(_ tool: ToolUnderTest) throws {
    let out = folder.file("\(tool.name).ttsr")
    #expect(try run(tool, [inputs.good, "-o", out]).code == 0)
    #expect(try folder.read("\(tool.name).ttsr") == run(tool, [inputs.good]).output)
  }

  @Test(arguments: ToolUnderTest.filters)
  func aMissingFileIsNamed(_ tool: ToolUnderTest) throws {
    let result = try run(tool, [inputs.good, folder.file("missing.ttsr")])
    #expect(result.code == 66)
    #expect(result.errors.hasPrefix("\(tool.name): \(folder.file("missing.ttsr")): "))
    #expect(result.errors.split(separator: "\n").count == 1)
  }

  @Test(arguments: ToolUnderTest.filters)
  func damagedInputIsRefused(_ tool: ToolUnderTest) throws {
    // Neither a stream nor text, for those that take text too.
    let other = try folder.write([UInt8](0..<200), to: "other.ttsr")
    let cut = try folder.write(
      Array(inputs.goodBytes.prefix(inputs.goodBytes.count * 2 / 3)), to: "cut.ttsr")
    var bytes = inputs.goodBytes
    bytes[bytes.count / 2] ^= 4
    let flipped = try folder.write(bytes, to: "flipped.ttsr")
    for path in [other, cut, flipped] {
      let out = "\(tool.name)-damaged.ttsr"
      let result = try run(tool, [path, "-o", folder.file(out)])
      #expect(result.code == 65, "\(path): \(result.errors)")
      #expect(result.errors.hasPrefix("\(tool.name): \(path): "), "\(result.errors)")
      #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
      #expect(!folder.has(out))
      #expect(try !folder.names().contains { $0.contains(".tmp-") })
    }
  }

  @Test(arguments: ToolUnderTest.filters)
  func aFailureBeforeTheFirstRecordIsTold(_ tool: ToolUnderTest) throws {
    let script = "\(line(tool, "no-such-file.ttsr")) | \(line(tool)) | \(line(tool)) > /dev/null"
    let result = try runShell(script, directory: folder.path)
    #expect(result.code == 66, "\(result.errors)")
    let nothing = try runShell("true | \(line(tool)) > /dev/null")
    #expect(nothing.code == 74, "\(nothing.errors)")
  }

  @Test(arguments: ToolUnderTest.filters)
  func aPipeCutShortMayBeTriedAgain(_ tool: ToolUnderTest) throws {
    let result = try run(
      tool, [], input: Array(inputs.goodBytes.prefix(inputs.goodBytes.count / 2)))
    #expect(result.code == 74)
    // What it wrote cannot be taken for whole either.
    let next = try run(tool, [], input: result.output)
    #expect(next.code == 74, "\(next.errors)")
  }

  @Test(arguments: ToolUnderTest.filters)
  func aKilledUpstreamFailsThePipeUnderPlainShell(_ tool: ToolUnderTest) throws {
    let script = """
      { head -c \(inputs.goodBytes.count / 2) '\(inputs.good)'; kill -9 $$; } |
      \(line(tool, "-o '\(folder.file("\(tool.name)-pipe.ttsr"))'"))
      """
    // The braces run in a subshell whose $$ is the main shell's: kill only the subshell's writer.
    let result = try runShell(
      script.replacingOccurrences(of: "kill -9 $$", with: "sh -c 'kill -9 $PPID'; :"))
    #expect(result.code == 74, "\(result.errors)")
    #expect(!folder.has("\(tool.name)-pipe.ttsr"))
  }

  @Test(arguments: ToolUnderTest.filters)
  func anUpstreamFailureIsRelayed(_ tool: ToolUnderTest) throws {
    let path = folder.file("aborted.ttsr")
    try writeAbortedStream(
      [makeRecord(id: "a")], to: path, stage: "tts-first", code: 78, message: "no such model")
    let script = "cat '\(path)' | \(line(tool)) | \(line(tool)) > '\(folder.file("relayed"))'"
    let result = try runShell(script)
    #expect(result.code == 78)
    // What is said of the record before the failure is no matter here.
    for message in result.errors.split(separator: "\n")
    where !message.contains("is resampled") && !message.contains("record 'a'") {
      #expect(message.hasPrefix("\(tool.name): ") && message.contains("no such model"))
    }
    let reader = try RecordReader(path: folder.file("relayed"))
    #expect(throws: Failure.self) { while try reader.next() != nil {} }
    #expect(reader.upstreamAbort?.stage == "tts-first")
    #expect(reader.upstreamAbort?.message == "no such model")
  }

  @Test(arguments: ToolUnderTest.filters)
  func headEndsItQuietly(_ tool: ToolUnderTest) throws {
    let many = folder.file("many.ttsr")
    try writeStream((0..<60).map { makeRecord(id: "m\($0)", seconds: 1) }, to: many)
    let script = "{ \(line(tool, "-u '\(many)'")); echo $? >&2; } | head -c 100 > /dev/null"
    let result = try runShell(script)
    #expect(result.code == 0)
    #expect(result.errors == "0\n", "\(result.errors)")
  }

  @Test(arguments: ToolUnderTest.filters)
  func aFullDiskIsAnError(_ tool: ToolUnderTest) throws {
    let full = try runShell(line(tool, "'\(inputs.good)' > /dev/full"))
    #expect(full.code == 74, "\(full.errors)")
    #expect(full.errors.contains("no space"))
    #expect(full.errors.split(separator: "\n").count == 1, "\(full.errors)")
    let out = folder.file("\(tool.name)-limited.ttsr")
    let limited = try runShell("ulimit -f 1; exec \(line(tool, "'\(inputs.good)' -o '\(out)'"))")
    if limited.code != 0 {
      #expect(limited.code == 74, "\(limited.errors)")
      #expect(!folder.has("\(tool.name)-limited.ttsr"))
    }
    #expect(try !folder.names().contains { $0.contains(".tmp-") })
  }

  @Test(arguments: ToolUnderTest.filters)
  func whatCannotBeCreatedIsAnError(_ tool: ToolUnderTest) throws {
    for path in [folder.file("no-folder/out.ttsr"), folder.path] {
      let result = try run(tool, [inputs.good, "-o", path])
      #expect(result.code == 73, "\(result.errors)")
    }
  }

  @Test(arguments: ToolUnderTest.filters)
  func terminationLeavesNothing(_ tool: ToolUnderTest) throws {
    let out = "\(tool.name)-terminated.ttsr"
    for number in [SIGTERM, SIGINT] {
      let process = try RunningProcess(
        toolPath(tool.name), (tool.neededArguments ?? []) + ["-o", folder.file(out)],
        input: Array(inputs.goodBytes.prefix(inputs.goodBytes.count / 2)), keepsInputOpen: true,
        timeLimit: 30)
      try waitForTemporary(out)
      process.signal(number)
      let result = process.wait()
      #expect(result.code == 75, "\(result.errors)")
      #expect(result.errors.hasPrefix("\(tool.name): interrupted"))
      #expect(try !folder.names().contains { $0.contains(out) })
    }
  }

  @Test(arguments: ToolUnderTest.filters)
  func terminationIsToldDownstream(_ tool: ToolUnderTest) throws {
    let process = try RunningProcess(
      toolPath(tool.name), (tool.neededArguments ?? []), input: inputs.goodBytes,
      keepsInputOpen: true, timeLimit: 30)
    for _ in 0..<1000 where process.outputSoFar.isEmpty { usleep(10_000) }
    process.signal(SIGTERM)
    let result = process.wait()
    #expect(result.code == 75, "\(result.errors)")
    #expect(try run(tool, [], input: result.output).code == 75)
  }

  @Test(arguments: ToolUnderTest.filters)
  func killingLeavesNothingThatLooksFinished(_ tool: ToolUnderTest) throws {
    let out = "\(tool.name)-killed.ttsr"
    let process = try RunningProcess(
      toolPath(tool.name), (tool.neededArguments ?? []) + ["-o", folder.file(out)],
      input: Array(inputs.goodBytes.prefix(inputs.goodBytes.count / 2)), keepsInputOpen: true,
      timeLimit: 30)
    try waitForTemporary(out)
    process.signal(SIGKILL)
    #expect(process.wait().code == 137)
    #expect(!folder.has(out))
    for name in try folder.names() where name.contains(out) {
      #expect(name.hasPrefix(".") && !name.hasSuffix(".ttsr"))
    }
  }

  /// Waits until the tool has opened its output.
  private func waitForTemporary(_ name: String) throws {
    for _ in 0..<1000 {
      if try folder.names().contains(where: { $0.hasPrefix(".\(name).tmp-") }) { return }
      usleep(10_000)
    }
    Issue.record("no temporary file appeared")
  }
}
