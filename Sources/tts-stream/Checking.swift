import ArgumentParser
import Base
import Filters
import Records

/// Whether streams are whole.
struct Check: Tool {
  static let tool = ToolDescription(
    name: "tts-stream check", abstract: "Say which streams are whole.",
    examples: ["tts-stream check --quick shards/*.ttsr", "tts-stream check train.ttsr"],
    discussion: """
      One line for each operand. Ends with 0 when all are whole, else with the code of the first that \
      is not: 65 damaged, 76 of a newer version, or what its maker failed with.
      """)
  @Flag(help: "Headers, trailers and seek tables only: a few reads a file, whatever its size.")
  var quick = false
  @OptionGroup var operands: Operands
  @OptionGroup(title: "General") var common: CommonOptions

  func execute(_ run: ToolRun) throws {
    let output = try ByteOutput(path: nil)
    var first: Failure?
    for path in operands.paths {
      try run.checkInterrupted()
      do {
        let count =
          quick && isRegularFile(path)
          ? try RecordFile(path: path).count : try Check.read(path, run)
        run.count("whole")
        if !common.quiet { try output.write("\(path): whole, \(count) records\n") }
      } catch let failure as Failure where failure.kind != .interrupted {
        run.count("damaged")
        first = first ?? failure.about(path)
        if operands.paths.count > 1, !common.quiet {
          try output.write("\(failure.about(path))\n")
        }
      }
    }
    try output.finish()
    if let first { throw first }
  }

  /// Reads all records; how many there are.
  private static func read(_ path: String, _ run: ToolRun) throws -> Int {
    let reader = try openStream(path)
    var open: (id: String, part: Int)?
    while let record = try reader.next() {
      try run.checkInterrupted()
      let expected = open?.part ?? 0
      let isInOrder = record.part == nil ? open == nil : record.part == expected
      guard isInOrder, open == nil || open?.id == record.id else {
        throw Failure.brokenParts(path, open?.id ?? record.id)
      }
      open = record.isLastPart ? nil : (record.id, expected + 1)
    }
    if let open { throw Failure.brokenParts(path, open.id) }
    return reader.recordCount
  }
}

/// Whether a file is the result of planned work.
struct Done: Tool {
  static let tool = ToolDescription(
    name: "tts-stream done",
    abstract: "Say whether a file is whole and the result of certain work.",
    examples: [
      "tts-stream done --id $(tts-vad --stage-id) --from in.ttsr out.ttsr || tts-vad in.ttsr -o out.ttsr"
    ],
    discussion: """
      Ends with 0 if so, else with 1. The id is that of the file's last stage: what the tool's \
      --stage-id prints, or, with everything before it, what tts-stream header --id prints.
      """)
  @Option(help: ArgumentHelp("The stage id that the file must have.", valueName: "id"))
  var id: String
  @Option(
    help: ArgumentHelp("The file whose records it must have been made from.", valueName: "file"),
    completion: .file(extensions: ["ttsr"]))
  var from: String?
  @Argument(
    help: ArgumentHelp("The file that may be done.", valueName: "file"),
    completion: .file(extensions: ["ttsr"]))
  var file: String
  @OptionGroup(title: "General") var common: CommonOptions

  func execute(_ run: ToolRun) throws {
    let done: RecordFile
    do {
      done = try RecordFile(path: file)
    } catch let failure as Failure {
      throw Failure.notDone(file, failure.problem)
    }
    for header in done.headers {
      let leaves = Set(header.leaves)
      let fits = header.stages.contains {
        leaves.contains($0.id) && ($0.id == id || $0.ownID == id)
      }
      guard fits, leaves.count == 1 else {
        throw Failure.notDone(file, "made by other work")
      }
    }
    guard let from else { return }
    let input = try RecordFile(path: from).tally.digest
    let made = done.trailers.compactMap(\.from)
    guard made.count == done.trailers.count, made.reduce(.zero, +) == input else {
      throw Failure.notDone(file, "made from other records than those of \(from)")
    }
  }
}

/// The headers.
struct Header: Tool {
  static let tool = ToolDescription(
    name: "tts-stream header", abstract: "Print how a stream was made.",
    examples: [
      "tts-stream header train.ttsr",
      "tts-stream head -n 0 in.ttsr | tts-vad --mode split | tts-stream header --id",
    ],
    discussion: """
      Prints the header of the first segment as a line of JSON; each stage with its id. Reads no \
      further, so that it also tells of damaged streams.
      """)
  @Flag(help: "Print the id of the last stage only.") var id = false
  @Flag(help: "Print the headers of all segments, from the seek tables of files.") var all = false
  @OptionGroup var operands: Operands
  @OptionGroup(title: "General") var common: CommonOptions

  func execute(_ run: ToolRun) throws {
    let output = try ByteOutput(path: nil)
    for path in operands.paths {
      let headers =
        all
        ? try RecordFile(path: path, allowingAborted: true).headers
        : [try openStream(path).header]
      for header in headers {
        if id {
          for leaf in header.leaves { try output.write(leaf + "\n") }
        } else {
          try output.write(Header.json(header).canonicalBytes + [10])
        }
      }
    }
    try output.finish()
  }

  private static func json(_ header: StreamHeader) -> JSON {
    let stages = header.stages.map { stage -> JSON in
      var members = stage.json.object ?? [:]
      members["id"] = .string(stage.id)
      return .object(members)
    }
    return ["features": JSON(header.features), "stages": .array(stages)]
  }
}
