import ArgumentParser
import Base
import Filters
import Records
import Safetensors

/// Records as text.
struct View: Tool {
  static let tool = ToolDescription(
    name: "tts-stream view", abstract: "Print records as lines of JSON.",
    examples: [
      "tts-stream view train.ttsr | jq -r 'select(.speaker == \"anna\").text'",
      "tts-stream view --audio wavs train.ttsr > train.jsonl",
    ],
    discussion: """
      A line is an object with the record's texts as they are, and under "arrays" the type and shape \
      of each array.
      """)
  @Flag(help: "Print the elements of arrays too.") var values = false
  @Option(
    help: ArgumentHelp(
      "Extract the audio to this folder: ID.wav (32-bit float, exact), or ID.flac as it is kept.",
      valueName: "dir"), completion: .directory)
  var audio: String?
  @OptionGroup var operands: Operands
  @OptionGroup(title: "General") var common: CommonOptions

  func execute(_ run: ToolRun) throws {
    let output = try ByteOutput(path: nil)
    var extraction = audio.map { AudioExtraction(folder: $0) }
    for path in operands.paths {
      let reader = try openStream(path)
      while let record = try reader.next() {
        try run.checkInterrupted()
        _ = try extraction?.take(record, from: reader.path)
        try output.write(View.json(record, values: values).canonicalBytes + [10])
      }
    }
    try extraction?.finish()
    try output.finish()
  }

  /// The text form of a record.
  static func json(_ record: Record, values: Bool) throws -> JSON {
    var members = record.metadata.mapValues { JSON.string($0) }
    // A text that happens to have the name is not lost.
    if let text = members["arrays"] { members["metadata.arrays"] = text }
    members["arrays"] = .object(
      try record.arrays.mapValues { array in
        var members: [String: JSON] = [
          "dtype": .string(array.type.rawValue),
          "shape": .array(array.shape.map { .integer(Int64($0)) }),
        ]
        if values { members["values"] = .array(try elements(array)) }
        return .object(members)
      })
    return .object(members)
  }

  private static func elements(_ array: ArrayData) throws -> [JSON] {
    switch array.type {
    case .f64:
      return array.doubles.map { number($0) }
    case .f32, .f16, .bf16:
      return try array.floats().map { number(Double($0)) }
    case .i64, .i32, .i16, .i8, .u64, .u32, .u16, .u8, .bool:
      return try array.int64s().map { .integer($0) }
    }
  }

  /// JSON knows no infinities: they are texts.
  private static func number(_ value: Double) -> JSON {
    value.isFinite ? .number(value) : .string("\(value)")
  }
}
