import Base
import Records
import Safetensors
import TestSupport

/// Writes utterances of four speakers with latents and tokens, to learn from.
func writeTrainingShard(
  _ path: String, _ ids: Range<Int>, header: StreamHeader = StreamHeader(),
  change: (inout Record) -> Void = { _ in }
) throws {
  let records = ids.map { number in
    var record = Record(id: "u\(number)")
    record.speaker = "s\(number % 4)"
    record.text = "hello"
    record.frameRate = 12.5
    var random = RandomNumbers(seed: 1, name: record.id)
    let frames = 6 + number * 5 % 11
    record.arrays["latents"] = ArrayData(
      random.normal(frames * 32).map { $0 * 3 - 1 }, shape: [frames, 32])
    record.arrays["tokens"] = ArrayData(
      (0..<3 + number % 4).map { _ in Int32(random.index(below: 400)) })
    change(&record)
    return record
  }
  try writeStream(records, to: path, header: header)
}
