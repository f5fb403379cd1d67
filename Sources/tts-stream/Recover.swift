import ArgumentParser
import Base
import Filters
import Records

/// What is left of a damaged file.
struct Recover: Tool {
  static let tool = ToolDescription(
    name: "tts-stream recover", abstract: "Save the good blocks of a damaged file.",
    examples: ["tts-stream recover damaged.ttsr -o rest.ttsr"],
    discussion: """
      Lists on standard output which bytes could not be read and, as far as trailer and seek table \
      tell, which records were in them. The output has one more stage, so that it is not taken for \
      the whole.
      """)
  @Option(
    name: [.short, .long], help: ArgumentHelp("The file to write.", valueName: "file"),
    completion: .file(extensions: ["ttsr"]))
  var output: String
  @Argument(
    help: ArgumentHelp("The damaged file.", valueName: "file"),
    completion: .file(extensions: ["ttsr"]))
  var file: String
  @OptionGroup(title: "General") var common: CommonOptions

  private static let stage = Stage(tool: "tts-stream-recover", version: 1)

  func execute(_ run: ToolRun) throws {
    let list = try ByteOutput(path: nil)
    let target = try AtomicFile(path: output)
    var writer: RecordWriter?
    func begin(_ header: StreamHeader?) throws {
      let header = (header ?? StreamHeader()).appending(Recover.stage)
      if let writer {
        try writer.startSegment(header)
      } else {
        writer = try RecordWriter(file: target, header: header)
      }
    }
    let salvage = try Salvage(
      path: file, header: begin,
      block: {
        try run.checkInterrupted()
        try writer?.write($0)
      })
    for range in salvage.lostBytes {
      try list.write("lost bytes \(range.lowerBound) to \(range.upperBound - 1)\n")
    }
    for (segment, ordinals) in salvage.lostRecords {
      try list.write(
        "lost records \(ordinals.lowerBound) to \(ordinals.upperBound - 1) of segment \(segment)\n")
    }
    for abort in salvage.aborts { try list.write("stopped by \(abort.failure)\n") }
    if salvage.openSegments > 0 {
      try list.write(
        "\(salvage.openSegments) of \(salvage.segmentCount) segments have lost their end: how many "
          + "records they had is not known\n")
    }
    try list.write(
      "\(salvage.recordCount) records saved\(salvage.isWhole ? "; nothing was damaged" : "")\n")
    try list.finish()
    try writer?.finish()
  }
}
