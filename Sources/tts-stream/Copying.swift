import ArgumentParser
import Base
import Filters
import Glibc
import Records

/// Joins streams.
struct Cat: Tool {
  static let tool = ToolDescription(
    name: "tts-stream cat", abstract: "Join streams, checking them on the way.",
    examples: ["tts-stream cat a.ttsr b.ttsr | tts-vad > c.ttsr"],
    discussion: """
      Blocks are passed on as they are, not compressed anew. Plain cat does the same without the \
      checks.
      """)
  @OptionGroup var operands: Operands
  @Option(
    name: [.short, .long],
    help: ArgumentHelp(
      "Write to this file, which gets its name only when it is whole (default: standard output).",
      valueName: "file"), completion: .file(extensions: ["ttsr"]))
  var output: String?
  @OptionGroup(title: "General") var common: CommonOptions

  func execute(_ run: ToolRun) throws {
    try copyStreams(operands.paths, stage: run.tool.name) { header in
      if let output, output != "-" {
        return try RecordWriter(file: AtomicFile(path: output), header: header)
      }
      guard isatty(STDOUT_FILENO) == 0 else { throw Failure.outputTerminal }
      return try RecordWriter(descriptor: STDOUT_FILENO, header: header)
    }
  }
}

/// The end of a pipe: a file that is whole or does not exist.
struct Save: Tool {
  static let tool = ToolDescription(
    name: "tts-stream save", abstract: "Save a stream to a file, whole or not at all.",
    examples: ["tts-import corpus | tts-vad -u | tts-stream save -o corpus.ttsr"],
    discussion: """
      Where a plain shell redirection would leave a part of the output of a pipe that failed, this \
      leaves nothing, and ends with the exit code and message of the first tool that failed.
      """)
  @Option(
    name: [.short, .long], help: ArgumentHelp("The file to write.", valueName: "file"),
    completion: .file(extensions: ["ttsr"]))
  var output: String
  @Argument(
    help: ArgumentHelp("A record file; - or none is standard input.", valueName: "file"),
    completion: .file(extensions: ["ttsr"]))
  var input: String = "-"
  @OptionGroup(title: "General") var common: CommonOptions

  func execute(_ run: ToolRun) throws {
    let file = try AtomicFile(path: output)
    try copyStreams([input], stage: run.tool.name) { try RecordWriter(file: file, header: $0) }
  }
}

/// The first records.
struct Head: Tool {
  static let tool = ToolDescription(
    name: "tts-stream head", abstract: "Pass on the first records.",
    examples: [
      "tts-stream head -n 100 train.ttsr > small.ttsr",
      "tts-stream head -n 0 in.ttsr | tts-vad | tts-stream header --id",
    ],
    discussion: """
      The output is a whole stream under the same header. With -n 0 it is the plan of what follows in \
      the pipe: the headers that a full run would write.
      """)
  @Option(name: [.customShort("n"), .long], help: ArgumentHelp("How many.", valueName: "n"))
  var records = 10
  @OptionGroup var output: OutputOptions
  @OptionGroup var operands: Operands
  @OptionGroup(title: "General") var common: CommonOptions

  func validate() throws {
    guard records >= 0 else { throw ValidationError("-n must not be negative.") }
  }

  func execute(_ run: ToolRun) throws {
    var writer: RecordWriter?
    var reader: RecordReader?
    do {
      var left = records
      for path in operands.paths {
        let open = try openStream(path)
        reader = open
        try begin(open.header, &writer)
        while left > 0, let record = try open.next() {
          try begin(open.header, &writer)
          try writer?.write(record)
          left -= 1
          try run.checkInterrupted()
        }
        if left == 0 { break }
      }
      try writer?.finish()
    } catch let failure as Failure {
      try? writer?.abort(reader?.upstreamAbort ?? Abort(failure, stage: run.tool.name))
      throw failure
    }
  }

  /// Begins a segment where the header is another.
  private func begin(_ header: StreamHeader, _ writer: inout RecordWriter?) throws {
    if let writer {
      if writer.header != header { try writer.startSegment(header) }
    } else if let path = output.output, path != "-" {
      writer = try RecordWriter(
        file: AtomicFile(path: path), header: header, level: output.level.number)
    } else {
      guard isatty(STDOUT_FILENO) == 0 else { throw Failure.outputTerminal }
      writer = try RecordWriter(
        descriptor: STDOUT_FILENO, header: header, level: output.level.number)
    }
  }
}
