import Base
import Foundation
import Records
import Safetensors
import TestSupport
import Testing

/// `tts-eval` with a small model, whose speech is noise but whose rules are the real ones.
@Suite(.enabled(if: isBuilt("tts-eval"))) struct EvalTests {
  let folder: ScratchFolder
  let model = fixture("PocketTTS/lsd")
  static let lines = """
    Hello there, this is the quiet river.
    Where is the yellow paper? It is lost.

    Yes.
    One. [pause 0.5s] Two.

    """

  init() throws { folder = try ScratchFolder() }

  private func eval(_ arguments: [String], input: String? = lines) throws -> ProcessResult {
    try runTool(
      "tts-eval", ["--model", model] + arguments, input: input.map { Array($0.utf8) },
      directory: folder.path)
  }

  /// The figures of a run that goes well.
  private func figures(_ arguments: [String], input: String? = lines) throws -> (
    all: JSON, items: [JSON], run: ProcessResult
  ) {
    let run = try eval(
      arguments + ["--json", "all.json", "--items", "items.jsonl"], input: input)
    #expect(run.code == 0, "\(run.errors)")
    return (try JSON.parse(folder.read("all.json")), try items(), run)
  }

  private func items() throws -> [JSON] {
    try folder.read("items.jsonl").split(separator: 10).map { try JSON.parse(Array($0)) }
  }

  // MARK: Speech

  @Test func figuresAreThoseOfWhatIsSaid() throws {
    let (all, items, run) = try figures(["--keep", "said", "--seed", "3"])
    #expect(items.map { $0["id"]?.string } == (1...4).map { "line-00000\($0)" })
    let text = ["--format", "ttsr", "--model", model, "--seed", "3"]
    let said = try readStream(
      runTool("tts-synth", text, input: Array(Self.lines.utf8)).output)
    for (item, record) in zip(items, said) {
      let samples = try #require(try record.audio().first)
      let seconds = Double(samples.count) / 24000
      #expect(item["seconds"]?.double == seconds)
      let paused = record.id == "line-000004" ? 12000 : 0
      #expect(item["frames"]?.integer == (samples.count - paused) / 1920)
      let power = samples.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(samples.count)
      #expect(abs((item["level_dbfs"]?.double ?? 0) - 10 * log10(power)) < 1e-9)
      // What is kept is what is said.
      let kept = try folder.read("said/\(record.id).wav")
      #expect(kept.count == 44 + 2 * samples.count)
      #expect(item["no_eos"]?.bool == false && item["duration_ratio"] == .null)
    }
    #expect(items[2]["characters_per_second"]?.double == 4 / (items[2]["seconds"]?.double ?? 0))
    // Pauses are no characters.
    #expect(items[3]["characters_per_second"]?.double == 9 / (items[3]["seconds"]?.double ?? 0))
    let seconds = items.compactMap { $0["seconds"]?.double }.sorted()
    #expect(all["seconds"]?["mean"]?.double == seconds.reduce(0, +) / 4)
    #expect(all["seconds"]?["median"]?.double == (seconds[1] + seconds[2]) / 2)
    #expect(all["seconds"]?["max"]?.double == seconds[3])
    #expect(all["sentences"]?.integer == 4 && all["eos_rate"]?.double == 1)
    #expect(all["stage"]?["parameters"]?["seed"]?.string == "3")
    let lines = run.text.split(separator: "\n").map { $0.split(whereSeparator: \.isWhitespace) }
    #expect(lines.contains(["spoken", "4", "-"]) && lines.contains(["ended", "4", "100.0", "%"]))
    #expect(lines.contains(["similarity", "0", "-", "-", "-", "-"]))
  }

  @Test func nothingDependsOnThreadsOrBatches() throws {
    let options = ["--calibrate", "--thresholds", "0:3:1", "--json", "-j", "--items", "-i"]
    var first: (output: [UInt8], files: [[UInt8]])?
    for (index, more) in [
      ["-T", "1", "--batch", "1"], ["-T", "2", "--batch", "1"], ["-T", "2", "--batch", "3"],
      ["-T", "3", "--batch", "16", "--jobs", "4"],
    ].enumerated() {
      let names = options.map { $0 == "-j" ? "\(index).json" : $0 == "-i" ? "\(index).jsonl" : $0 }
      let run = try eval(names + more + ["--asr", "echo yes; sleep 0.0$(($$ % 9)) #"])
      #expect(run.code == 0, "\(run.errors)")
      let files = try [folder.read("\(index).json"), folder.read("\(index).jsonl")]
      if let first { #expect(run.output == first.output && files == first.files, "\(more)") }
      first = first ?? (run.output, files)
    }
  }

  @Test func runawaysAndSilenceAreCounted() throws {
    let short = try figures(["--max-frames", "7", "--eos-threshold", "1e9"])
    #expect(short.all["no_eos"]?.integer == 4 && short.all["eos_rate"]?.double == 0)
    // Fewer than 8 frames; the last one has a second piece.
    #expect(short.items.map { $0["frames"]?.integer } == [7, 7, 7, 14])
    #expect(short.items.map { $0["silent"]?.bool } == [true, true, true, false])
    #expect(short.items.map { $0["no_eos_pieces"]?.integer } == [1, 1, 1, 2])
    let loud = try figures(["--silence", "0"])
    #expect(loud.all["silent"]?.integer == 4)
  }

  // MARK: References

  /// What `tts-synth` says, as records; audio in parts where asked for.
  private func recordings(seed: String) throws -> [Record] {
    try readStream(
      runTool(
        "tts-synth", ["--model", model, "--format", "ttsr", "--seed", seed],
        input: Array(Self.lines.utf8)
      ).output)
  }

  @Test func referencesAreComparedWith() throws {
    let same = try recordings(seed: "0")
    try writeStream(same, to: folder.file("same.ttsr"))
    let itself = try figures(["same.ttsr"], input: nil)
    for item in itself.items {
      #expect(item["duration_ratio"]?.double == 1)
      #expect(item["log_spectral_distance_db"]?.double == 0)
    }
    #expect(itself.all["duration_ratio"]?["count"]?.integer == 4)

    // Other draws, half as fast, and in parts.
    var others: [Record] = []
    for record in try recordings(seed: "1") {
      let samples = try #require(try record.audio().first)
      let slow = samples.flatMap { [$0, $0] }
      for (part, range) in [0..<samples.count, samples.count..<slow.count].enumerated() {
        var copy = Record(id: record.id)
        if part == 0 { copy.text = record.text }
        copy.setAudio([Array(slow[range])], rate: 24000)
        copy.part = part
        copy.isLastPart = part == 1
        others.append(copy)
      }
    }
    try writeStream(others, to: folder.file("others.ttsr"))
    let slow = try figures(["others.ttsr"], input: nil)
    for (item, record) in zip(slow.items, try recordings(seed: "1")) {
      let seconds = 2 * Double(try record.audio()[0].count) / 24000
      #expect(item["reference_seconds"]?.double == seconds)
      #expect((item["log_spectral_distance_db"]?.double ?? 0) > 1)
      #expect((item["latent_distance"]?.double ?? 0) > 0.01)
    }
    let ratios = slow.items.compactMap { $0["duration_ratio"]?.double }.sorted()
    #expect(slow.all["duration_ratio"]?["median"]?.double == (ratios[1] + ratios[2]) / 2)
  }

  @Test func latentsStandForAudio() throws {
    try writeStream(recordings(seed: "1"), to: folder.file("audio.ttsr"))
    for (name, options) in [("latents.ttsr", []), ("both.ttsr", ["--keep"])] {
      let encode = try runTool(
        "tts-mimi-encode", ["--model", model, "audio.ttsr", "-o", name] + options,
        directory: folder.path)
      #expect(encode.code == 0, "\(encode.errors)")
    }
    let audio = try figures(["audio.ttsr"], input: nil).items
    let both = try figures(["both.ttsr"], input: nil).items
    let latents = try figures(["latents.ttsr"], input: nil).items
    #expect(audio == both)
    for (a, b) in zip(latents, audio) {
      #expect(a["latent_distance"] == b["latent_distance"] && a["latent_distance"] != .null)
      // Sound of the codec is something else than the recording.
      #expect(a["log_spectral_distance_db"] != b["log_spectral_distance_db"])
      let frames = ((b["reference_seconds"]?.double ?? 0) * 12.5).rounded(.up)
      #expect(a["reference_seconds"]?.double == frames / 12.5)
    }
  }

  // MARK: End of speech

  @Test func calibrationSaysWhatThresholdsDo() throws {
    try writeStream(recordings(seed: "5"), to: folder.file("in.ttsr"))
    let all = try figures(["--calibrate", "--thresholds", "-1:3:0.5", "in.ttsr"], input: nil).all
    let rows = try #require(all["calibration"]?["thresholds"]?.array)
    #expect(rows.compactMap { $0["threshold"]?.double } == (0...8).map { -1 + Double($0) / 2 })
    #expect(Set(rows.compactMap { $0["eos_rate"]?.double }).count > 2, "the range tells nothing")
    for row in rows {
      let threshold = "\(row["threshold"]?.double ?? .nan)"
      let real = try figures(["--eos-threshold", threshold, "in.ttsr"], input: nil).all
      for name in ["eos_rate", "frames"] {
        #expect(real[name] == row[name], "\(threshold) \(name)")
      }
      for name in ["seconds", "duration_ratio"] {
        for value in ["mean", "median"] {
          let (a, b) = (real[name]?[value]?.double ?? 0, row[name]?[value]?.double ?? 1)
          #expect(abs(a - b) < 1e-9, "\(threshold) \(name)")
        }
      }
    }
    // The rule, from the rows.
    let ending = rows.filter { ($0["eos_rate"]?.double ?? 0) >= 0.99 }
    func off(_ row: JSON) -> Double { abs(log(row["duration_ratio"]?["median"]?.double ?? 0)) }
    let best = try #require(ending.map(off).min())
    let expected = ending.last { off($0) == best }?["threshold"]
    #expect(all["calibration"]?["recommended"] == expected)
    let free = try figures(["--calibrate", "--thresholds", "-1:3:0.5"])
    let highest = free.all["calibration"]?["thresholds"]?.array?.last {
      ($0["eos_rate"]?.double ?? 0) >= 0.99
    }
    #expect(free.all["calibration"]?["recommended"] == highest?["threshold"])
    #expect(free.run.text.contains("\nrecommended --eos-threshold  "))
  }

  // MARK: Wrong input

  @Test func sentencesThatCannotBeSpokenAreLeftOut() throws {
    var rejected = makeTextRecord(id: "rejected")
    rejected.reject("tts-vad: noise")
    var width = makeTextRecord(id: "width")
    width.arrays["latents"] = ArrayData([1, 2, 3, 4] as [Float], shape: [1, 4])
    var unfinite = makeTextRecord(id: "nan")
    unfinite.arrays["latents"] = ArrayData([Float](repeating: .nan, count: 32), shape: [1, 32])
    var voice = makeTextRecord(id: "voice")
    voice.metadata["voice"] = "nobody.wav"
    try writeStream(
      [
        rejected, makeTextRecord(id: "good"), width, unfinite, voice,
        makeTextRecord(id: "good", text: "Again."), makeTextRecord(id: "blank", text: " "),
        makeTextRecord(id: "mark", text: "One [pause]."),
        makeTextRecord(id: "book", text: String(repeating: "word ", count: 20_000)),
      ] + makeParts(id: "long", parts: 3, secondsEach: 50), to: folder.file("in.ttsr"))
    let (all, items, run) = try figures(["in.ttsr"], input: nil)
    #expect(all["sentences"]?.integer == 1 && all["rejected"]?.integer == 8)
    #expect(all["left_out"]?.integer == 1)
    #expect(
      items.map { $0["rejected"]?.string } == [
        nil, "latents of shape [1, 4], the model's have 32 channels",
        "a latent is not a finite number", "its voice 'nobody.wav': no such file",
        "a sentence with this id came before", "no text", "'[pause]' is no pause",
        "the text has more than 64 KiB", "the reference is longer than 120 s",
      ])
    #expect(run.errors.split(separator: "\n").count == 8)
    #expect(run.errors.contains("record 'width': latents of shape [1, 4]"))
    for options in [["--on-error", "fail"], ["--max-rejected", "2"]] {
      let strict = try eval(
        options + ["--json", "strict.json", "--items", "strict.jsonl", "in.ttsr"], input: nil)
      #expect(strict.code == 65, "\(strict.errors)")
      #expect(strict.output.isEmpty)
      #expect(!folder.has("strict.json") && !folder.has("strict.jsonl"))
    }
  }

  @Test func wrongUsageIsRefused() throws {
    func fails(_ code: Int32, _ word: String, _ arguments: [String], input: String? = Self.lines)
      throws
    {
      let result = try eval(arguments, input: input)
      #expect(result.code == code, "\(arguments): \(result.errors)")
      #expect(result.errors.contains(word), "\(arguments): \(result.errors)")
      #expect(result.output.isEmpty)
    }
    try fails(65, "no sentence in the input", ["--input-format", "text"], input: "\n \n")
    try fails(66, "missing.ttsr: no such file", ["missing.ttsr"])
    try fails(66, "nobody: neither a file", ["--voice", "nobody"])
    try fails(73, "none/x.json: cannot create", ["--json", "none/x.json"])
    try fails(73, "items.jsonl: cannot", ["--items", "none/items.jsonl"])
    try fails(64, "is no command for 1 files", ["--asr", "x {} {}"])
    try fails(64, "is no command for 2 files", ["--similarity", "x {}"])
    try fails(64, "--asr-floor needs --asr", ["--asr-floor"])
    try fails(64, "--timeout must be", ["--timeout", "0"])
    try fails(64, "--wav-rate must be", ["--wav-rate", "3"])
    for range in ["1:0:1", "0:1:0", "0:1", "0:1e5:1", "a:b:c", "0:nan:1"] {
      try fails(64, "--thresholds", ["--thresholds", range])
    }
    #expect(try folder.names().isEmpty)
  }
}
