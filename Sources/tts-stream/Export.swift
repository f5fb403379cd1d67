import ArgumentParser
import Base
import Filters
import Records
import Safetensors

/// Records in the formats of others.
struct Export: Tool {
  /// The formats.
  enum Format: String, ExpressibleByArgument, CaseIterable {
    case files, webdataset
  }
  static let tool = ToolDescription(
    name: "tts-stream export", abstract: "Write records in formats that other programs read.",
    examples: [
      "tts-stream export --format files -o corpus train.ttsr",
      "tts-stream export --format webdataset -o train.tar train.ttsr",
    ],
    discussion: """
      files: a folder with metadata.jsonl (the texts of each utterance and the path of its audio) and \
      audio/. webdataset: a tar file, for each record KEY.json, KEY.wav or KEY.flac, and KEY.NAME.npy \
      for each further array. Rejected records are left out.
      """)
  @Option(help: ArgumentHelp("files or webdataset.", valueName: "format")) var format: Format
  @Option(
    name: [.short, .long],
    help: ArgumentHelp(
      "The folder, or the tar file, to write; - is standard output for tar.", valueName: "path"),
    completion: .file())
  var output: String
  @OptionGroup var operands: Operands
  @OptionGroup(title: "General") var common: CommonOptions

  func execute(_ run: ToolRun) throws {
    switch format {
    case .files: try exportFiles(run)
    case .webdataset: try exportTar(run)
    }
  }

  private func eachGood(_ run: ToolRun, _ body: (Record, String) throws -> Void) throws {
    var left = 0
    for path in operands.paths {
      let reader = try openStream(path)
      while let record = try reader.next() {
        try run.checkInterrupted()
        run.count("records")
        if record.isRejected { left += 1 } else { try body(record, reader.path) }
      }
    }
    if left > 0 { run.warn("\(left) rejected records were left out") }
  }

  private func exportFiles(_ run: ToolRun) throws {
    var extraction = AudioExtraction(folder: output + "/audio")
    var lines: [UInt8] = []
    var list: AtomicFile?
    try eachGood(run) { record, path in
      let name = try extraction.take(record, from: path)
      // The first part of a recording speaks for all.
      guard record.part ?? 0 == 0 else { return }
      var texts = record.metadata
      texts["part"] = nil
      texts["part_last"] = nil
      if let name { texts["audio"] = "audio/" + name }
      lines += JSON(texts).canonicalBytes + [10]
      if list == nil { list = try makeList() }
      if lines.count > 1 << 20 {
        try list?.write(lines)
        lines = []
      }
    }
    try extraction.finish()
    let file = try list ?? makeList()
    try file.write(lines)
    try file.commit()
  }

  private func makeList() throws -> AtomicFile {
    try AudioExtraction(folder: output).makeFolder(for: "metadata.jsonl")
    return try AtomicFile(path: output + "/metadata.jsonl")
  }

  private func exportTar(_ run: ToolRun) throws {
    let file = try ByteOutput(path: output, isBinary: true)
    var tar = TarWriter(file)
    try eachGood(run) { record, path in
      let key = Export.key(of: record)
      var texts = record.metadata
      texts["audio_codec"] = nil
      try tar.add(key + ".json", JSON(texts).canonicalBytes)
      for name in record.arrays.keys.sortedByCodePoints {
        guard let array = record.arrays[name] else { continue }
        switch name == "audio" ? record.audioEncoding : nil {
        case .flac: try tar.add(key + ".flac", array.bytes)
        case .float, .integer:
          let (channels, rate) = try decodedAudio(of: record, path)
          try tar.add(key + ".wav", floatWAV(channels, rate: rate))
        case nil:
          let suffix = name.replacing("/", with: "_")
          try tar.add("\(key).\(suffix).npy", numpyFile(array))
        }
      }
    }
    try tar.finish()
    try file.finish()
  }

  /// What WebDataset takes for the name of a sample: no dot in its last component.
  private static func key(of record: Record) -> String {
    let path = Record.path(of: record.id).replacing(".", with: "%2E")
    return record.part.map { "\(path)@\($0)" } ?? path
  }
}
