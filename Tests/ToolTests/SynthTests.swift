import Base
import Foundation
import Records
import Safetensors
import TestSupport
import Testing

/// `tts-synth` with a small model, whose speech is noise but whose rules are the real ones.
@Suite(.enabled(if: isBuilt("tts-synth"))) struct SynthTests {
  let folder: ScratchFolder
  let model = fixture("PocketTTS/lsd")
  /// Samples of four frames.
  let four = 4 * 1920

  init() throws { folder = try ScratchFolder() }

  func synth(
    _ arguments: [String], input: String? = nil, environment: [String: String] = [:]
  ) throws -> ProcessResult {
    try runTool(
      "tts-synth", ["--model", model, "--max-frames", "4"] + arguments,
      input: input.map { Array($0.utf8) }, environment: environment, directory: folder.path)
  }

  func floats(_ result: ProcessResult) -> [Float] {
    result.output.withUnsafeBytes { bytes in
      (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    }
  }

  func audio(_ record: Record) throws -> [Float] { try record.audio().first ?? [] }

  // MARK: Pauses

  @Test func pausesAreSamplesOfSilence() throws {
    let format = ["--format", "f32le", "--temperature", "0"]
    let one = floats(try synth(format + ["--text", "One."]))
    let two = floats(try synth(format + ["--text", "Two."]))
    #expect(one.count == four)
    let both = try synth(format + ["--text", "One. [pause 0.25s] Two."])
    #expect(both.code == 0, "\(both.errors)")
    #expect(floats(both) == one + [Float](repeating: 0, count: 6000) + two)
    // The same from a line of input.
    let line = try synth(format, input: "One. [pause 250ms] Two.\n")
    #expect(line.output == both.output)
  }

  @Test func aMarkThatIsNoPauseNamesTheRecord() throws {
    let alone = try synth(["--text", "One. [pause soon] Two."])
    #expect(alone.code == 65)
    #expect(alone.errors.hasPrefix("tts-synth: record 'text': '[pause soon]' is no pause; "))
    let among = try synth(["--format", "ttsr"], input: "One.\nOops [pause 5].\nThree.\n")
    #expect(among.code == 0, "\(among.errors)")
    let made = try readStream(among.output)
    #expect(made.map(\.isRejected) == [false, true, false])
    #expect(made[1].rejections == ["tts-synth: '[pause 5]' is no pause"])
    #expect(made[1].arrays.isEmpty)
  }

  // MARK: Input formats

  @Test func tableLinesHaveVoicesAndSeedsOfTheirOwn() throws {
    try FileManager.default.copyItem(
      atPath: "\(model)/voice.wav", toPath: folder.file("me.wav"))
    let table = "text\tid\tvoice\tseed\nHello.\ta\t\t\nHello.\tb\tme.wav\t\nHello.\tc\t\t7\n"
    let result = try synth(["--input-format", "tsv", "--format", "ttsr"], input: table)
    #expect(result.code == 0, "\(result.errors)")
    let made = try readStream(result.output)
    #expect(made.map(\.id) == ["a", "b", "c"])
    #expect(made.map { $0.metadata["voice"] } == [nil, "me.wav", nil])
    let sounds = try made.map { try audio($0) }
    #expect(Set(sounds).count == 3)
    // Each is what the run's own options would give; the noise is drawn for the id.
    try writeStream([makeTextRecord(id: "b", text: "Hello.")], to: folder.file("b.ttsr"))
    try writeStream([makeTextRecord(id: "c", text: "Hello.")], to: folder.file("c.ttsr"))
    let voiced = try synth(["--voice", "me.wav", "--format", "ttsr", "b.ttsr"])
    #expect(try readStream(voiced.output).map { try audio($0) } == [sounds[1]])
    let seeded = try synth(["--seed", "7", "--format", "ttsr", "c.ttsr"])
    #expect(try readStream(seeded.output).map { try audio($0) } == [sounds[2]])

    let json = """
      {"text": "Hello.", "id": "a"}
      {"text": "Hello.", "id": "b", "voice": "me.wav", "seed": null}
      {"text": "Hello.", "id": "c", "seed": 7, "speaker": "x", "language": "en"}
      """
    let lines = try synth(["--input-format", "jsonl", "--format", "ttsr"], input: json)
    #expect(lines.code == 0, "\(lines.errors)")
    let again = try readStream(lines.output)
    #expect(try again.map { try audio($0) } == sounds)
    #expect(again[2].speaker == "x" && again[2].language == "en")

    // Records carry them as metadata.
    var record = makeTextRecord(id: "b", text: "Hello.")
    record.metadata["voice"] = "me.wav"
    try writeStream([record], to: folder.file("voiced.ttsr"))
    let records = try synth(["--format", "ttsr", "voiced.ttsr"])
    #expect(try readStream(records.output).map { try audio($0) } == [sounds[1]])
  }

  @Test func badLinesAreRejectedByNumber() throws {
    let table =
      "id\ttext\tvoice\tseed\na\tOne.\t\t\n\nb\tTwo.\t\nc d\tThree.\t\t\n"
      + "e\tFour.\tnobody.wav\t\nf\tFive.\t\t-1\ng\t\t\t\n"
    let result = try synth(["--input-format", "tsv", "--format", "ttsr"], input: table)
    #expect(result.code == 0, "\(result.errors)")
    let made = try readStream(result.output)
    #expect(
      made.map { $0.rejections.first } == [
        nil, "tts-synth: line 4: 3 fields for 4 columns", "tts-synth: line 5: 'c d' is no id",
        "tts-synth: its voice 'nobody.wav': no such file",
        "tts-synth: the seed '-1' is no whole number", "tts-synth: no text",
      ])
    #expect(made[1].text == "b\tTwo.\t")

    let json =
      #"{"text": "One."}"# + "\n{\n[1]\n" + #"{"text": 1}"# + "\n"
      + #"{"text": "x", "speed": 2}"# + "\n"
    let lines = try synth(["--input-format", "jsonl", "--format", "ttsr"], input: json)
    #expect(lines.code == 0, "\(lines.errors)")
    #expect(
      try readStream(lines.output).map { $0.rejections.first } == [
        nil, "tts-synth: line 2: not a JSON object", "tts-synth: line 3: not a JSON object",
        "tts-synth: line 4: 'text' is not a string", "tts-synth: line 5: unknown key 'speed'",
      ])
    let strict = try synth(["--input-format", "jsonl", "--on-error", "fail"], input: json)
    #expect(strict.code == 65)
    #expect(
      strict.errors.hasPrefix("tts-synth: standard input: record 'line-000002': line 2: not a JSON")
    )
  }

  @Test func headersAreStrict() throws {
    for (header, problem) in [
      ("id\ttxt", "line 1: unknown column 'txt'"), ("id\tvoice", "line 1: no column 'text'"),
      ("text\ttext", "line 1: column 'text' comes twice"),
    ] {
      let result = try synth(["--input-format", "tsv"], input: header + "\na\tb\n")
      #expect(result.code == 65)
      #expect(result.errors.contains(problem), "\(result.errors)")
      #expect(result.output.isEmpty)
    }
    // Each file has its own.
    try folder.write("text\tid\nOne.\ta\n", to: "1.tsv")
    try folder.write("id\ttext\nb\tTwo.\n", to: "2.tsv")
    let both = try synth(["--input-format", "tsv", "--format", "ttsr", "1.tsv", "2.tsv"])
    #expect(both.code == 0, "\(both.errors)")
    #expect(try readStream(both.output).map(\.text) == ["One.", "Two."])
    #expect(try synth(["--input-format", "tsv", "--format", "ttsr"], input: "").code == 0)
  }

  @Test func formatsThatAreNotThereAreRefused() throws {
    try writeStream([makeTextRecord(id: "a")], to: folder.file("in.ttsr"))
    #expect(try synth(["--input-format", "text", "in.ttsr"]).code == 65)
    #expect(try synth(["--input-format", "ttsr"], input: "Hello.\n").code == 65)
    #expect(try synth(["--input-format", "csv"], input: "Hello.\n").code == 64)
    // Nothing is text too, where text was asked for.
    #expect(try synth(["--input-format", "text"], input: "").code == 0)
    #expect(try synth([], input: "").code == 74)
  }

  @Test func paragraphsAreUtterances() throws {
    let text = "It rained.\nAll day.\n\nThen it\nstopped.\n"
    let result = try synth(["--input-format", "paragraphs", "--format", "ttsr"], input: text)
    #expect(result.code == 0, "\(result.errors)")
    let made = try readStream(result.output)
    #expect(made.map(\.id) == ["paragraph-000001", "paragraph-000002"])
    #expect(made.map(\.text) == ["It rained.\nAll day.", "Then it\nstopped."])
    // Line ends are blanks.
    let line = try synth(
      ["--temperature", "0", "--format", "s16le"], input: "It rained. All day.\n")
    let lines = try synth(
      ["--temperature", "0", "--format", "s16le", "--input-format", "paragraphs"],
      input: "It rained.\nAll day.\n")
    #expect(line.output == lines.output)
  }

  // MARK: Voices

  @Test func anExportedVoiceIsTheSameVoice() throws {
    let export = try synth(["--voice", "\(model)/voice.wav", "--export-voice", "me.safetensors"])
    #expect(export.code == 0, "\(export.errors)")
    #expect(export.output.isEmpty)
    let written = try SafetensorsFile(path: folder.file("me.safetensors"))
    let official = try SafetensorsFile(path: "\(model)/voice.safetensors")
    #expect(written.names == official.names)
    for name in official.names {
      #expect(written.shape(of: name) == official.shape(of: name))
    }
    let words = ["--temperature", "0", "--text", "Hello there.", "--format", "f32le"]
    let recording = try synth(words + ["--voice", "\(model)/voice.wav"])
    #expect(try synth(words + ["--voice", "me.safetensors"]).output == recording.output)
    let theirs = try synth(words + ["--voice", "\(model)/voice.safetensors"])
    assertClose(floats(theirs), floats(recording), tolerance: 1e-3)
    #expect(try synth(words).output != recording.output)

    #expect(try synth(["--export-voice", "x.safetensors"]).code == 64)
    #expect(
      try synth(["--export-voice", "x.safetensors", "--voice", "me.safetensors", "--text", "a"])
        .code == 64)
    #expect(try synth(["--export-voice", "none/x", "--voice", "me.safetensors"]).code == 73)
    #expect(try synth(["--export-voice", "x", "--voice", "missing.wav"]).code == 66)
    #expect(!folder.has("x"))
  }

  // MARK: Output

  @Test func loudnessIsPerUtterance() throws {
    let words = ["--format", "f32le", "--temperature", "0"]
    func speech(_ lufs: String?, _ input: String) throws -> [Float] {
      let result = try synth(words + (lufs.map { ["--loudness", $0] } ?? []), input: input)
      #expect(result.code == 0, "\(result.errors)")
      return floats(result)
    }
    let quiet = try speech("-50", "One.\nTwo, three.\n")
    let loud = try speech("-40", "One.\nTwo, three.\n")
    assertClose(loud, quiet.map { $0 * 3.162_277_6 }, tolerance: 1e-5)
    // One factor for each utterance.
    let plain = try speech(nil, "One.\nTwo, three.\n")
    func factors(_ range: Range<Int>) -> (least: Float, most: Float) {
      let ratios = range.filter { abs(plain[$0]) > 1e-3 }.map { quiet[$0] / plain[$0] }
      return (ratios.min() ?? 0, ratios.max() ?? .infinity)
    }
    for range in [0..<four, four..<2 * four] {
      let (least, most) = factors(range)
      #expect(most - least < 1e-3 * most)
    }
    #expect(try speech("-40", "One.\n") == Array(loud.prefix(four)))
    #expect(try synth(["--loudness", "3", "--text", "a"]).code == 64)
  }

  @Test func headersHaveTheLengthWhereItIsKnown() throws {
    func number(_ bytes: [UInt8], _ offset: Int) -> Int {
      bytes[offset..<offset + 4].reversed().reduce(0) { $0 << 8 | Int($1) }
    }
    #expect(try synth(["--text", "Hello.", "-o", "out.wav"]).code == 0)
    let file = try folder.read("out.wav")
    #expect(file.count == 44 + 2 * four)
    #expect(number(file, 4) == file.count - 8 && number(file, 40) == 2 * four)
    // A pipe cannot be corrected.
    let pipe = try synth(["--text", "Hello."]).output
    #expect(pipe.count == file.count && pipe[44...] == file[44...])
    #expect(number(pipe, 4) == 0xFFFF_FFFF && number(pipe, 40) == 0xFFFF_FFFF)
    // A redirection can.
    let shell = try runShell(
      "tts-synth --model '\(model)' --max-frames 4 --text Hello. > shell.wav",
      directory: folder.path)
    #expect(shell.code == 0)
    #expect(try folder.read("shell.wav") == file)
  }

  @Test func partsOfRejectedRecordsPass() throws {
    var parts = makeParts(id: "long", parts: 3, secondsEach: 0.1)
    for index in parts.indices { parts[index].reject("tts-vad: noise") }
    try writeStream(parts + [makeTextRecord(id: "a")], to: folder.file("in.ttsr"))
    let result = try synth(["--format", "ttsr", "in.ttsr"])
    #expect(result.code == 0, "\(result.errors)")
    let made = try readStream(result.output)
    #expect(Array(made.prefix(3)) == parts)
    #expect(made.last?.id == "a")
  }
}
