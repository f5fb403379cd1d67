import Base
import Foundation
import Records
import Safetensors
import TestSupport
import Testing

/// Output to a disk without room, and to a reader that leaves.
@Suite(.enabled(if: hasFixture("PocketTTS/lsd_train/config.yaml"))) struct FullDiskTests {
  let folder: ScratchFolder
  let model = fixture("PocketTTS/lsd_train")

  init() throws {
    folder = try ScratchFolder()
    try writeStream(
      (0..<4).map { makeRecord(id: "r\($0)", seconds: 2) }, to: folder.file("in.ttsr"))
    try writeStream(
      (0..<4).map { number in
        var record = makeTextRecord(id: "r\(number)")
        record.frameRate = 12.5
        var random = RandomNumbers(seed: 1, name: record.id)
        record.arrays["latents"] = ArrayData(random.normal(200 * 32), shape: [200, 32])
        record.arrays["tokens"] = ArrayData([1, 2, 3] as [Int32])
        return record
      }, to: folder.file("latents.ttsr"))
    try folder.write(wave([speechLike(seconds: 2, rate: 16000)], rate: 16000), to: "in.wav")
    var random = RandomNumbers(seed: 1)
    let letters = Array("aeioubdfghklmnprstvw")
    let lines = (0..<800).map { _ in
      (0..<6).map { _ in
        String((0..<5).map { _ in letters[random.index(below: letters.count)] })
      }.joined(separator: " ")
    }
    try folder.write(lines.joined(separator: "\n"), to: "lines.txt")
  }

  /// Whether a file system of our own can be mounted.
  private static let canMount =
    (try? runShell("unshare --mount mount -t tmpfs none /mnt").code) == 0

  /// Commands with a file or folder `full/out` as output.
  private static let writers = [
    "tts-import in.wav -o full/out", "tts-resample in.ttsr -o full/out",
    "tts-vad in.ttsr -o full/out", "tts-tokenize --model MODEL in.ttsr -o full/out",
    "tts-mimi-encode --model MODEL --keep in.ttsr -o full/out",
    "tts-synth --model MODEL --max-frames 20 in.ttsr -o full/out",
    "tts-synth --model MODEL --max-frames 20 --format ttsr in.ttsr -o full/out",
    "tts-synth --model MODEL --max-frames 20 --format s16le in.ttsr -o full/out",
    "tts-shard latents.ttsr -o full/out-%d", "tts-shard latents.ttsr --shuffle 1 -o full/out-%d",
    "tts-shard latents.ttsr --max-records 1 --split a=0.5,b=0.5 -o full/{split}-%d",
    "tts-tokenize train lines.txt --vocab-size 1000 -o full/out",
    "tts-stream save in.ttsr -o full/out", "tts-stream cat in.ttsr -o full/out",
    "tts-stream head -n 9 in.ttsr -o full/out", "tts-stream recover in.ttsr -o full/out",
    "tts-stream export --format webdataset in.ttsr -o full/out",
  ]

  @Test(.enabled(if: canMount), arguments: writers)
  func nothingIsLeftOnAFullDisk(_ line: String) throws {
    let left = try runOnFullDisk(line)
    #expect(left.isEmpty, "left: \(left)")
  }

  /// Folders stay, but without what would make them whole.
  @Test(
    .enabled(if: canMount),
    arguments: [
      ("tts-stream export --format files in.ttsr -o full/out", "metadata.jsonl"),
      ("tts-model convert MODEL -o full/out", "model.safetensors"),
      ("tts-model average MODEL MODEL -o full/out", "model.safetensors"),
      (
        "tts-model init --config MODEL/config.yaml --tokenizer MODEL/tokenizer.model -o full/out",
        "model.safetensors"
      ),
      ("tts-train -q --model MODEL --train latents.ttsr --run full/out --steps 1", "config.yaml"),
      ("tts-eval --model MODEL --max-frames 20 --keep full/out in.ttsr", ".wav"),
    ])
  func foldersLackWhatMakesThemWhole(_ line: String, missing: String) throws {
    let left = try runOnFullDisk(line)
    #expect(!left.contains(missing) && !left.contains(".tmp-"), "left: \(left)")
  }

  /// Runs a command beside a folder `full` with room for 12 kB, where it must fail for that.
  ///
  /// - Returns: what is in the folder then.
  private func runOnFullDisk(_ line: String) throws -> String {
    try FileManager.default.createDirectory(
      atPath: folder.file("full"), withIntermediateDirectories: true)
    let result = try runShell(
      """
      exec unshare --mount sh -c 'mount -t tmpfs -o size=12k none full || exit 99
        \(line.replacingOccurrences(of: "MODEL", with: model))
        code=$?; find full -mindepth 1; exit $code'
      """, directory: folder.path)
    #expect(result.code == 74, "\(result.errors)")
    #expect(result.errors.contains("no space left on device"), "\(result.errors)")
    #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
    return result.text
  }

  /// Commands that write to standard output.
  private static let printers = [
    "tts-import in.wav", "tts-resample in.ttsr", "tts-synth --model MODEL --max-frames 9 in.ttsr",
    "tts-synth --model MODEL --max-frames 9 --format f32le in.ttsr", "tts-stream view in.ttsr",
    "tts-stream view --values in.ttsr", "tts-stream cat in.ttsr", "tts-stream head in.ttsr",
    "tts-stream count in.ttsr", "tts-stream stat in.ttsr", "tts-stream digest in.ttsr",
    "tts-stream header in.ttsr", "tts-stream export --format webdataset -o - in.ttsr",
    "tts-model info MODEL", "tts-import --stage-id in.wav",
    "tts-eval --model MODEL --max-frames 9 in.ttsr",
  ]

  @Test(arguments: printers) func aFullDeviceAndAReaderThatLeaves(_ line: String) throws {
    let command = line.replacingOccurrences(of: "MODEL", with: model)
    let full = try runShell("\(command) > /dev/full", directory: folder.path)
    #expect(full.code == 74, "\(full.errors)")
    #expect(full.errors.contains(": standard output: cannot write: no space left"))
    #expect(full.errors.split(separator: "\n").count == 1, "\(full.errors)")
    let head = try runShell(
      "{ \(command); echo $? >&2; } | head -c 100 > /dev/null", directory: folder.path)
    #expect(head.code == 0 && head.errors == "0\n", "\(head.errors)")
    #expect(try folder.names() == ["in.ttsr", "in.wav", "latents.ttsr", "lines.txt"])
  }

  @Test func aReportThatCannotBeWrittenIsAFailure() throws {
    let result = try runTool(
      "tts-resample",
      [folder.file("in.ttsr"), "-o", "/dev/null", "--report", folder.file("no/report.json")])
    #expect(result.code == 73)
    #expect(result.errors.hasPrefix("tts-resample: \(folder.file("no/report.json")): "))
  }

  @Test func aTarGoesToStandardOutput() throws {
    let result = try runShell(
      "tts-stream export --format webdataset -o - in.ttsr | tar t", directory: folder.path)
    #expect(result.text.hasPrefix("r0.json\nr0.wav\n"), "\(result.errors)")
  }
}
