import Base
import Foundation
import Glibc
import Records
import TestSupport
import Testing

/// The commands that listen for `tts-eval`.
@Suite(.enabled(if: isBuilt("tts-eval"))) struct EvalListenerTests {
  let folder: ScratchFolder
  let model = fixture("PocketTTS/lsd")
  static let lines = "The cat sat.\nIt's a well-known dog!\nYes, yes.\n"

  init() throws { folder = try ScratchFolder() }

  private func eval(_ arguments: [String], input: String? = lines) throws -> ProcessResult {
    try runTool(
      "tts-eval",
      ["--model", model, "--json", "all.json", "--items", "items.jsonl", "--max-frames", "10"]
        + arguments, input: input.map { Array($0.utf8) },
      environment: ["TMPDIR": folder.path], directory: folder.path)
  }

  private func figures() throws -> (all: JSON, items: [JSON]) {
    (
      try JSON.parse(folder.read("all.json")),
      try folder.read("items.jsonl").split(separator: 10).map { try JSON.parse(Array($0)) }
    )
  }

  // MARK: Word errors

  @Test func errorsAreThoseOfTheTranscripts() throws {
    try folder.write("the hat sat\n", to: "heard/line-000001")
    try folder.write("its a well known dog and cat and so on\n", to: "heard/line-000002")
    try folder.write("\n", to: "heard/line-000003")
    let run = try eval(["--keep", "said", "--asr", "cat heard/$(basename {} .wav)"])
    #expect(run.code == 0, "\(run.errors)")
    let (all, items) = try figures()
    func asr(_ index: Int, _ key: String) -> Double? { items[index]["asr"]?[key]?.double }
    #expect(items[0]["asr"]?["transcript"]?.string == "the hat sat")
    #expect((0..<3).map { asr($0, "words") } == [3, 5, 2])
    #expect((0..<3).map { asr($0, "substitutions") } == [1, 0, 0])
    #expect((0..<3).map { asr($0, "insertions") } == [0, 5, 0])
    #expect((0..<3).map { asr($0, "deletions") } == [0, 0, 2])
    #expect((0..<3).map { asr($0, "wer") } == [1 / 3, 1, 1])
    #expect((0..<3).map { asr($0, "cer") } == [1 / 11, 18 / 20, 1])
    let total = try #require(all["asr"])
    #expect(total["wer"]?.double == 0.8 && total["words"]?.integer == 10)
    #expect(total["wer_of_sentences"]?["median"]?.double == 1)
    #expect(abs((total["wer_clipped"]?.double ?? 0) - 7 / 9) < 1e-12)
    #expect(run.text.contains("wer_clipped"))

    // A runaway's insertions count in full, and once where rates are clipped.
    try folder.write("yes yes " + String(repeating: "no ", count: 38), to: "heard/line-000003")
    let again = try eval(["--keep", "said", "--asr", "cat heard/$(basename {} .wav)"])
    #expect(again.code == 0, "\(again.errors)")
    let runaway = try #require(try figures().all["asr"])
    #expect(runaway["wer"]?.double == 4.4)
    #expect(abs((runaway["wer_clipped"]?.double ?? 0) - 7 / 9) < 1e-12)
  }

  @Test func commandsGetFilesOfTheRate() throws {
    let run = try eval(["--wav-rate", "8000", "--asr", "cp {} heard-$(date +%N).wav; echo x #"])
    #expect(run.code == 0, "\(run.errors)")
    let names = try folder.names().filter { $0.hasPrefix("heard-") }
    #expect(names.count == 3)
    for name in names {
      let bytes = try folder.read(name)
      let rate = bytes[24..<28].reversed().reduce(0) { $0 << 8 | Int($1) }
      #expect(rate == 8000)
      #expect((bytes.count - 44) % 1280 == 0)
    }
    // Nothing is left of what they got.
    #expect(try !folder.names().contains { $0.hasPrefix("tts-eval") })
  }

  // MARK: Commands that fail

  @Test(arguments: [
    ("exit 3", "ended with exit code 3"), ("echo no model >&2; exit 1", "exit code 1: no model"),
    ("exit 0", "printed nothing"), ("sleep 60", "did not end within 1 s"),
    ("kill -SEGV $$", "ended by signal 11"), ("no-such-recogniser", "exit code 127"),
  ]) func failuresCostOneResult(_ action: String, _ problem: String) throws {
    let script = "case {} in *2.wav) \(action);; *) echo yes yes;; esac"
    let run = try eval(["--keep", "said", "--timeout", "1", "--asr", script])
    #expect(run.code == 69, "\(run.errors)")
    let errors = run.errors.split(separator: "\n")
    #expect(errors.count == 2, "\(run.errors)")
    #expect(
      errors.first?.hasPrefix("tts-eval: warning: --asr: record 'line-000002': '\(script)' ")
        == true)
    #expect(errors.first?.contains(problem) == true, "\(run.errors)")
    #expect(
      errors.last?.contains(" (1 of 3 commands failed; all other results are complete); ") == true)
    #expect(errors.last?.hasPrefix("tts-eval: --asr: record 'line-000002': ") == true)
    let (all, items) = try figures()
    #expect(items.map { $0["asr"] != .null } == [true, false, true])
    #expect(items.map { $0["failures"]?.array?.count } == [0, 1, 0])
    #expect(all["asr"]?["words"]?.integer == 5 && all["commands_failed"]?.integer == 1)
    #expect(all["sentences"]?.integer == 3 && items[1]["frames"] != .null)
    #expect(run.text.contains("\nspeech"))
  }

  @Test func signalsEndCommandsToo() throws {
    let run = try RunningProcess(
      toolPath("tts-eval"),
      [
        "--model", model, "--json", "all.json", "--items", "items.jsonl", "--max-frames", "10",
        "--asr", "echo $$ > started; sleep 600 #",
      ], input: Array(Self.lines.utf8), environment: ["TMPDIR": folder.path],
      directory: folder.path, timeLimit: 60)
    while (try? folder.read("started").last) != 10 { usleep(10_000) }
    let shell = String(decoding: try folder.read("started"), as: UTF8.self)
      .trimmingCharacters(in: .whitespacesAndNewlines)
    run.signal(SIGTERM)
    let result = run.wait()
    #expect(result.code == 75 && !result.timedOut, "\(result.errors)")
    #expect(result.errors.hasPrefix("tts-eval: interrupted; "))
    #expect(try folder.names() == ["started"])
    // It is gone, or nobody has noticed yet that it is.
    let state = (try? String(contentsOfFile: "/proc/\(shell)/stat", encoding: .utf8)) ?? ") Z"
    #expect(state.contains(") Z"), "the command outlived the run: \(state)")
  }

  // MARK: Speakers

  @Test func speakersAreCompared() throws {
    try FileManager.default.copyItem(atPath: "\(model)/voice.wav", toPath: folder.file("me.wav"))
    // The share of the speech's bytes: whatever it is, it needs both files, in order.
    let size = "s=$(stat -c %s {}); v=$(stat -c %s {}); echo $s.$v"
    let run = try eval(["--voice", "me.wav", "--similarity", size])
    #expect(run.code == 0, "\(run.errors)")
    let voice = try folder.read("me.wav").count
    for item in try figures().items {
      let speech = 44 + 2 * Int(((item["seconds"]?.double ?? 0) * 24000).rounded())
      #expect(item["similarity"]?.double == Double("\(speech).\(voice)"))
    }
    // References.
    try writeStream(
      [makeRecord(id: "a", seconds: 1), makeTextRecord(id: "b")], to: folder.file("in.ttsr"))
    let other = try eval(
      ["--similarity-to", "reference", "--similarity", size, "in.ttsr"], input: nil)
    #expect(other.code == 0, "\(other.errors)")
    #expect(other.errors.contains("sentences without a reference are not compared"))
    let items = try figures().items
    let likeness = "\(items[0]["similarity"]?.double ?? 0)"
    #expect(likeness.hasSuffix(".48044"))
    #expect(items[1]["similarity"] == .null)
    // A voice that is no recording.
    let none = try eval(["--similarity", size])
    #expect(none.code == 0)
    #expect(none.errors.contains("the voice is none"))
    #expect(try figures().all["similarity"]?["count"]?.integer == 0)
    // An answer that is no number.
    for answer in ["alike", "nan", "0.5 0.6"] {
      let wrong = try eval(["--voice", "me.wav", "--similarity", "echo \(answer) #"])
      #expect(wrong.code == 69)
      #expect(wrong.errors.contains("record 'line-000001': 'echo \(answer) #' printed '\(answer)"))
      #expect(wrong.errors.contains("which is not one number"))
    }
  }

  // MARK: A real recogniser

  static let hasRecogniser = ["pocketsphinx_continuous", "flite"].allSatisfy { program in
    (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
      access("\($0)/\(program)", X_OK) == 0
    }
  }

  /// References spoken by flite, heard by pocketsphinx; the model's own noise beside them.
  @Test(
    .enabled(
      if: hasRecogniser,
      "needs pocketsphinx and flite: Scripts/dependencies recogniser installs them"))
  func recognisersHearSpeech() throws {
    let sentences = [
      "Four hours of steady work faced us.", "The weather is very good today.",
      "We like to see clear weather.",
    ]
    for (index, sentence) in sentences.enumerated() {
      let spoken = try runShell(
        "flite -voice slt -t '\(sentence)' -o \(index).wav", directory: folder.path)
      #expect(spoken.code == 0, "\(spoken.errors)")
    }
    try folder.write(
      sentences.enumerated().map { "\($0.offset).wav|\($0.element)\n" }.joined(), to: "list")
    let imported = try runTool(
      "tts-import", ["--format", "list", "list", "-o", "in.ttsr"], directory: folder.path)
    #expect(imported.code == 0, "\(imported.errors)")
    let run = try eval(
      [
        "--wav-rate", "16000", "--asr-floor", "--asr",
        "echo $(pocketsphinx_continuous -infile {} -logfn /dev/null)", "in.ttsr",
      ], input: nil)
    #expect(run.code == 0, "\(run.errors)")
    let (all, items) = try figures()
    let floor = try #require(all["asr_of_references"])
    #expect(floor["words"]?.integer == 19)
    let (rate, noise) = (floor["wer"]?.double ?? 9, all["asr"]?["wer"]?.double ?? 0)
    #expect(rate < 0.5 && noise > rate, "\(rate) \(noise)")
    for item in items {
      let heard = item["asr_of_reference"]?["transcript"]?.string ?? ""
      #expect(!heard.isEmpty)
    }
  }
}
