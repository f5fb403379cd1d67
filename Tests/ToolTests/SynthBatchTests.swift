import Base
import Foundation
import Glibc
import Records
import TestSupport
import Testing

/// `tts-synth --batch`: what is said at a time is what would be said one by one.
@Suite(.enabled(if: isBuilt("tts-synth"))) struct SynthBatchTests {
  let folder: ScratchFolder
  let model = fixture("PocketTTS/lsd")

  init() throws { folder = try ScratchFolder() }

  private func synth(_ arguments: [String]) throws -> ProcessResult {
    try runTool(
      "tts-synth", ["--model", model] + arguments, directory: folder.path, timeLimit: 300)
  }

  /// Utterances of very unequal lengths, with pauses, voices, and some that cannot be said.
  private func table(_ count: Int) throws -> String {
    try? FileManager.default.copyItem(atPath: "\(model)/voice.wav", toPath: folder.file("me.wav"))
    let lines = (0..<count).map { index in
      switch index % 7 {
      case 0: "Hello.\t\t"
      case 1: "A rather long one, with several words in it. And another sentence after it.\t\t"
      case 2: "One. [pause 0.1s] Two.\t\t\(index)"
      case 3: "Yes.\tme.wav\t"
      case 4: "No [pause].\t\t"
      case 5: "[pause 0.1s]\t\t"
      default: "Who?\tnobody.wav\t"
      }
    }
    return try folder.write("text\tvoice\tseed\n" + lines.joined(separator: "\n"), to: "table.tsv")
  }

  @Test(arguments: [("ttsr", "1"), ("ttsr", "2"), ("s16le", "3")])
  func batchesChangeNothing(_ format: String, _ threads: String) throws {
    let options = [
      "--input-format", "tsv", "--format", format, "-T", threads, "--max-rejected", "100%",
      "--max-frames", "30", try table(24),
    ]
    let one = try synth(options)
    #expect(one.code == 0, "\(one.errors)")
    for batch in ["2", "5", "32"] {
      let many = try synth(options + ["--batch", batch])
      #expect(many.code == 0, "\(many.errors)")
      #expect(many.output == one.output, "--batch \(batch)")
      #expect(many.errors == one.errors, "--batch \(batch)")
    }
    let steps = try synth(options + ["--decode-steps", "3"])
    #expect(try synth(options + ["--decode-steps", "3", "--batch", "4"]).output == steps.output)
    #expect(steps.output != one.output)
  }

  @Test func precisionsAndLoudnessGoWithBatches() throws {
    let options = ["--input-format", "tsv", "--max-rejected", "100%", try table(12)]
    for more in [["--precision", "int8"], ["--precision", "bf16"], ["--loudness", "-20"]] {
      let one = try synth(options + more + ["--format", "f32le", "--max-frames", "10"])
      #expect(one.code == 0 && !one.output.isEmpty, "\(one.errors)")
      let many = try synth(
        options + more + ["--format", "f32le", "--max-frames", "10", "--batch", "4"])
      #expect(many.output == one.output, "\(more)")
    }
  }

  @Test func recordsThatWereRejectedPass() throws {
    var records = (0..<9).map { makeTextRecord(id: "r\($0)", text: "Hello.") }
    records[4].reject("tts-vad: no speech")
    records[6].text = nil
    try writeStream(records, to: folder.file("in.ttsr"))
    let options = ["--format", "ttsr", "--max-frames", "6", "--max-rejected", "100%", "in.ttsr"]
    let one = try synth(options)
    let many = try synth(options + ["--batch", "3"])
    #expect(one.code == 0 && many.code == 0, "\(many.errors)")
    #expect(many.output == one.output)
    let strict = try synth(options + ["--batch", "3", "--on-error", "fail"])
    #expect(strict.code == 65)
    #expect(strict.errors == (try synth(options + ["--on-error", "fail"])).errors)
  }

  @Test func theFailureOfTheInputIsPassedOn() throws {
    try folder.write(String(repeating: "Hello.\n", count: 6), to: "lines.txt")
    let made = try synth(["--format", "ttsr", "--max-frames", "2", "lines.txt"])
    #expect(made.code == 0)
    try folder.write(Array(made.output.dropLast(40)), to: "cut.ttsr")
    let options = ["--format", "ttsr", "--max-frames", "2", "cut.ttsr"]
    let one = try synth(options)
    let many = try synth(options + ["--batch", "4"])
    #expect(many.code == one.code && many.code != 0)
    #expect(many.errors == one.errors)
    #expect(many.output == one.output)
  }

  @Test func anInterruptionEndsAllOfThem() throws {
    try folder.write(String(repeating: "Hello.\n", count: 50), to: "lines.txt")
    let process = try RunningProcess(
      toolPath("tts-synth"),
      [
        "--model", model, "--max-frames", "2000", "--eos-threshold", "1e9", "--batch", "8", "-o",
        folder.file("out.wav"), folder.file("lines.txt"),
      ], timeLimit: 60)
    // Until speech is being written.
    func isWriting() throws -> Bool {
      try folder.names().contains {
        try $0.hasPrefix(".out.wav.tmp-") && !folder.read($0).isEmpty
      }
    }
    for _ in 0..<5000 where try !isWriting() { usleep(10_000) }
    #expect(try isWriting())
    process.signal(SIGTERM)
    let result = process.wait()
    #expect(result.code == 75, "\(result.errors)")
    #expect(!result.timedOut)
    #expect(!folder.has("out.wav"))
  }

  @Test func whoReadsNoFurtherEndsAllOfThem() throws {
    try folder.write(String(repeating: "Hello.\n", count: 200), to: "lines.txt")
    let result = try runShell(
      "tts-synth --model '\(model)' --max-frames 500 --eos-threshold 1e9 --batch 8 lines.txt "
        + "| head -c 100 | wc -c", directory: folder.path)
    #expect(String(decoding: result.output, as: UTF8.self) == "100\n")
  }

  @Test func whatBatchesCannotDoIsSaid() throws {
    #expect(try synth(["--batch", "2", "--text", "Hello."]).code == 64)
    #expect(try synth(["--batch", "0", "lines.txt"]).code == 64)
    #expect(try synth(["--batch", "257", "lines.txt"]).code == 64)
  }
}
