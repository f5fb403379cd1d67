import Base
import Foundation
import Glibc
import Records
import Safetensors
import TestSupport
import Testing

@Suite(.enabled(if: isBuilt("tts-train"))) struct TrainTests {
  let folder: ScratchFolder
  let model = fixture("PocketTTS/lsd_train")

  init() throws {
    folder = try ScratchFolder()
    try write("train-0.ttsr", 0..<14)
    try write("train-1.ttsr", 14..<20)
    try write("valid.ttsr", 20..<24)
  }

  func write(
    _ name: String, _ ids: Range<Int>, header: StreamHeader = StreamHeader(),
    change: (inout Record) -> Void = { _ in }
  ) throws {
    try writeTrainingShard(folder.file(name), ids, header: header, change: change)
  }

  func arguments(
    _ run: String, _ more: [String] = [], train: String = "train-*.ttsr"
  ) -> [String] {
    [
      "--model", model, "--train", train, "--valid", "valid.ttsr", "--run", run,
      "--batch", "4", "--accumulate", "2", "--lr", "1e-2", "--warmup", "3", "--valid-every", "20",
      "--checkpoint-every", "10", "--statistics", "data", "--ema-decay", "0.9", "--multiplier", "2",
      "--steps", "40",
    ] + more
  }

  func train(
    _ run: String, _ more: [String] = [], train: String = "train-*.ttsr"
  ) throws -> ProcessResult {
    try runTool("tts-train", arguments(run, more, train: train), directory: folder.path)
  }

  /// Starts a run, sends it a signal when a file of the run directory satisfies a condition.
  private func interrupt(
    _ run: String, _ signal: Int32, when isReady: () -> Bool
  ) throws -> ProcessResult {
    let process = try RunningProcess(
      toolPath("tts-train"), arguments(run, ["-T", "1"]), directory: folder.path)
    let end = Date().addingTimeInterval(60)
    while !isReady(), Date() < end { usleep(2000) }
    process.signal(signal)
    return process.wait()
  }

  func weights(_ run: String) throws -> [UInt8] {
    try folder.read(run + "/model.safetensors")
  }

  func trainLines(_ run: String) -> Int {
    let bytes = (try? folder.read(run + "/progress.jsonl")) ?? []
    return String(decoding: bytes, as: UTF8.self).components(separatedBy: #""type":"train""#).count
      - 1
  }

  @Test func interruptedRunsEndWithTheSameBytes() throws {
    let whole = try train("whole", ["-T", "1", "--report", "report.json"])
    #expect(whole.code == 0, "\(whole.errors)")
    let expected = try weights("whole")
    let report = try JSON.parse(folder.read("report.json"))
    let first = try #require(report["first_validation"]?["flow_diag"]?.double)
    let last = try #require(report["validation"]?["flow_diag"]?.double)
    #expect(last < first)
    #expect(trainLines("whole") == 40)

    let threads = try train("threads", ["-T", "2"])
    #expect(threads.code == 0)
    #expect(try weights("threads") == expected)

    let stopped = try interrupt("stopped", SIGTERM) { trainLines("stopped") >= 3 }
    #expect(stopped.code == 75, "\(stopped.errors)")
    #expect(try train("stopped", ["-T", "2", "--resume"]).code == 0)
    #expect(try weights("stopped") == expected)
    #expect(trainLines("stopped") == 40)

    let killed = try interrupt("killed", SIGKILL) {
      folder.has("killed/checkpoints/00000010.json")
    }
    #expect(killed.code == 128 + SIGKILL)
    #expect(try train("killed", ["--resume"]).code == 0)
    #expect(try weights("killed") == expected)
    #expect(trainLines("killed") == 40)

    // The run directory is a model.
    for name in ["config.yaml", "tokenizer.model", "run.json"] {
      #expect(folder.has("whole/" + name), "\(name)")
    }
    let again = try runTool(
      "tts-train",
      ["--model", "whole", "--train", "train-0.ttsr", "--run", "next", "--steps", "1", "-q"],
      directory: folder.path)
    #expect(again.code == 0, "\(again.errors)")
  }

  @Test func partsOfAModelTrain() throws {
    func tensors(_ path: String) throws -> SafetensorsFile { try SafetensorsFile(path: path) }
    let before = try tensors(model + "/model.safetensors")
    func changed(_ run: String) throws -> Set<String> {
      let after = try tensors(folder.file(run + "/model.safetensors"))
      return try Set(
        after.names.filter { try after.floats($0) != before.floats($0) }
          .map { $0.hasPrefix("flow_lm.flow_net.") ? "head" : $0 })
    }
    let short = ["--steps", "3", "--warmup", "0"]
    #expect(try train("head", short + ["--tune", "head"]).code == 0)
    let statistics: Set = ["flow_lm.emb_mean", "flow_lm.emb_std"]
    #expect(try changed("head").subtracting(statistics) == ["head"])
    #expect(try train("text", short + ["--tune", "text"]).code == 0)
    #expect(
      try changed("text").subtracting(statistics) == ["flow_lm.conditioner.embed.weight"])

    // Updates of low rank: the run speaks as the start does with the adapter in it.
    let lora = try train(
      "lora", short + ["--tune", "lora", "--lora-rank", "2", "--statistics", "model"])
    #expect(lora.code == 0, "\(lora.errors)")
    #expect(
      try changed("lora").allSatisfy {
        $0.hasPrefix("flow_lm.transformer.layers.") && $0.hasSuffix(".weight")
      })
    let speech = ["--temperature", "0", "--max-frames", "4", "--format", "f32le", "--text", "Hi."]
    func say(_ arguments: [String]) throws -> ProcessResult {
      try runTool("tts-synth", arguments + speech, directory: folder.path)
    }
    let run = try say(["--model", "lora"])
    let adapted = try say(["--model", model, "--adapter", "lora/adapter.safetensors"])
    #expect(run.code == 0 && !run.output.isEmpty && adapted.output == run.output)
    #expect(try say(["--model", model]).output != run.output)
    let merged = try runTool(
      "tts-model",
      ["merge", "--adapter", "lora/adapter.safetensors:1", model, "-o", "merged"],
      directory: folder.path)
    #expect(merged.code == 0, "\(merged.errors)")
    #expect(try say(["--model", "merged"]).output == run.output)
    let other = try say(["--model", "merged", "--adapter", "lora/adapter.safetensors"])
    #expect(other.code == 78 && other.errors.contains("adapter.safetensors"), "\(other.errors)")
    #expect(try say(["--model", model, "--adapter", "valid.ttsr"]).code == 65)

    // Looking costs nothing.
    let dry = try train("dry", short + ["--tune", "last:1", "--dry-run"])
    #expect(dry.code == 0 && !folder.has("dry"), "\(dry.errors)")
    #expect(String(decoding: dry.output, as: UTF8.self).contains("parameters that train"))
    let list = try train("dry", ["--tune", "head", "--list"])
    let lines = String(decoding: list.output, as: UTF8.self).split(separator: "\n")
    #expect(lines.contains { $0.hasPrefix("frozen\t") && $0.hasSuffix("\tflow_lm.bos_emb") })
    #expect(lines.contains { $0.hasPrefix("trains\t") && $0.contains("flow_lm.flow_net.") })
    for wrong in [
      ["--tune", "all"], ["--freeze", "x"], ["--tune", "last:99"], ["--freeze", "*"],
    ] {
      #expect(try train("dry", short + wrong).code == 64, "\(wrong)")
    }
    #expect(!folder.has("dry"))
  }

  @Test func sourcesAndPromptsAreMixed() throws {
    // Sentences with the times of their words, each of a speaker of its own.
    try write("aligned:2", 30..<38) { record in
      record.speaker = nil
      record.text = "One two three four."
      var random = RandomNumbers(seed: 2, name: record.id)
      record.arrays["latents"] = ArrayData(random.normal(60 * 32), shape: [60, 32])
      record.arrays["word_starts"] = ArrayData([0.1, 1.2, 2.2, 3.2] as [Float])
      record.arrays["word_ends"] = ArrayData([0.9, 2.0, 3.0, 4.1] as [Float])
    }
    func train(
      _ run: String, _ more: [String], _ sources: [String] = ["train-*.ttsr:2", "aligned:2:0.5"]
    ) throws -> ProcessResult {
      try runTool(
        "tts-train",
        ["--model", model, "--run", run, "--batch", "4", "--steps", "6", "--train"] + sources
          + more, directory: folder.path)
    }
    let mixed = [
      "--prompts", "auto", "--prompt-trim", "0.5", "--period-dropout", "0.5", "--valid",
      "aligned:2",
    ]
    let whole = try train("whole", mixed + ["-T", "1"])
    #expect(whole.code == 0, "\(whole.errors)")
    for words in [
      "--train: 28 utterances", "8 with a place to cut", "train-*.ttsr: 20 utterances",
      "aligned:2: 8 utterances", "80 % of the samples", "20 % of the samples",
    ] {
      #expect(whole.errors.contains(words), "\(words): \(whole.errors)")
    }
    // In two halves, on other threads: the same bytes.
    #expect(try train("half", mixed + ["--steps", "3", "-T", "2"]).code == 0)
    #expect(try train("half", mixed + ["--resume", "-T", "2"]).code == 0)
    #expect(try weights("half") == weights("whole"))
    // Each of the options is heard, and recorded.
    for (number, option) in ["--prompts", "--prompt-trim", "--period-dropout"].enumerated() {
      let without = Array(mixed[..<(2 * number)]) + mixed[(2 * number + 2)...]
      #expect(try train("other\(number)", without).code == 0)
      #expect(try weights("other\(number)") != weights("whole"))
      let resumed = try train("whole", without + ["--resume"])
      #expect(resumed.code == 78 && resumed.errors.contains(option + " is "), "\(resumed.errors)")
    }
    let weighted = try train(
      "whole", mixed + ["--resume"], ["train-*.ttsr:2", "aligned:2:1"])
    #expect(weighted.code == 78)
    #expect(weighted.errors.contains("weights 2 1, the run was begun with weights 4 1"))

    func fails(_ code: Int32, _ word: String, _ more: [String], _ sources: [String]) throws {
      let result = try train("bad", more, sources)
      #expect(result.code == code && result.errors.contains(word), "\(result.errors)")
      #expect(!folder.has("bad"))
    }
    try fails(64, "weight", [], ["train-*.ttsr:0"])
    try fails(64, "--valid", ["--valid", "valid.ttsr:2"], ["train-*.ttsr"])
    try fails(64, "--prompts", ["--prompts", "window"], ["train-*.ttsr"])
    try fails(64, "--period-dropout", ["--period-dropout", "1.5"], ["train-*.ttsr"])
    try fails(65, "word_starts", ["--prompts", "cut"], ["train-*.ttsr"])
    try write("bad.ttsr", 0..<2) { $0.text = nil }
    try fails(65, "period", ["--period-dropout", "0.3"], ["bad.ttsr"])
  }

  @Test func runsAreDrawnOnAPage() throws {
    #expect(try train("a", ["--steps", "6", "--valid-every", "2"]).code == 0)
    #expect(try train("b<i>", ["--steps", "4", "--valid-every", "2", "--lr", "3e-3"]).code == 0)
    // The second still goes on: its last line is not whole.
    let log = try folder.read("b<i>/progress.jsonl")
    try folder.write(log + Array(#"{"metrics":{"loss":"#.utf8), to: "b<i>/progress.jsonl")
    let result = try runTool(
      "tts-train", ["report", "-o", "page.html", "a", "b<i>"], directory: folder.path)
    #expect(result.code == 0 && result.output.isEmpty, "\(result.errors)")
    let page = String(decoding: try folder.read("page.html"), as: UTF8.self)
    for word in ["flow_diag", "eos_loss", "grad_norm", "lr", "--seed", "0.003", "b&lt;i&gt;"] {
      #expect(page.contains(word), "\(word)")
    }
    #expect(!page.contains("<i>") && !page.contains("http"))
    // A line for each run in each chart, twice where it was validated: 4 losses, lr, grad_norm.
    let lines = page.components(separatedBy: "<polyline").count - 1
    #expect(lines >= 2 * (2 * 4 + 2) && page.components(separatedBy: "<circle").count > 8)
    // What differs stands above what does not.
    let differing = try #require(page.range(of: "<th>--lr</th>"))
    let same = try #require(page.range(of: "<th>--batch</th>"))
    #expect(differing.lowerBound < same.lowerBound)

    func fails(_ run: String, _ code: Int32) throws {
      let result = try runTool(
        "tts-train", ["report", "-o", "bad.html", run], directory: folder.path)
      #expect(result.code == code, "\(result.errors)")
      #expect(result.errors.split(separator: "\n").count == 1 && !folder.has("bad.html"))
    }
    try fails("nowhere", 66)
    try folder.write(Array("{\n".utf8) + log, to: "b<i>/progress.jsonl")
    try fails("b<i>", 65)
    #expect(try runTool("tts-train", ["report"]).code == 64)
  }

  @Test func samplesAreWhatTheModelSays() throws {
    try folder.write("Hi there.\n\nBye.\n", to: "lines.txt")
    let sound = wave([speechLike(seconds: 1, rate: 24000)], rate: 24000)
    try folder.write(sound, to: "my voice.wav")
    let short = ["--steps", "20"]
    let sampling = [
      "--sample-every", "10", "--sample-text", "lines.txt", "--sample-voice", "my voice.wav",
    ]
    #expect(try train("plain", short).code == 0)
    let result = try train("run", short + sampling)
    #expect(result.code == 0, "\(result.errors)")
    #expect(try weights("run") == weights("plain"))
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.file("run/samples"))
    #expect(
      names.sorted()
        == ["00", "10", "20"].flatMap { step in
          (1...2).map { "step000000\(step)-\($0)-my_voice.wav" }
        })
    for (number, text) in [(1, "Hi there."), (2, "Bye.")] {
      let said = try runTool(
        "tts-synth",
        ["--model", "run", "--voice", "my voice.wav", "--text", text, "-o", "said.wav"],
        directory: folder.path)
      #expect(said.code == 0, "\(said.errors)")
      let sample = try folder.read("run/samples/step00000020-\(number)-my_voice.wav")
      #expect(try folder.read("said.wav") == sample && sample.count > 1000)
    }
    // So it is with updates of low rank.
    let lora = try train(
      "lora",
      ["--steps", "3", "--warmup", "0", "--tune", "lora", "--statistics", "model"]
        + ["--sample-every", "9", "--sample-text", "lines.txt"])
    #expect(lora.code == 0, "\(lora.errors)")
    let said = try runTool(
      "tts-synth", ["--model", "lora", "--text", "Bye.", "-o", "said.wav"], directory: folder.path)
    #expect(said.code == 0, "\(said.errors)")
    #expect(try folder.read("said.wav") == folder.read("lora/samples/step00000003-2.wav"))
    // They may be other ones when the run goes on.
    let more = try train("run", ["--steps", "22", "--resume", "--sample-every", "1"])
    #expect(more.code == 0, "\(more.errors)")
    #expect(folder.has("run/samples/step00000021-3.wav"))
    let events = try FileManager.default.contentsOfDirectory(atPath: folder.file("run/events"))
    #expect(events.count == 2 && events.allSatisfy { $0.hasPrefix("events.out.tfevents.") })

    // The page has them to listen to, as far as there is room.
    func page(_ more: [String] = []) throws -> String {
      let result = try runTool(
        "tts-train", ["report", "run", "plain"] + more, directory: folder.path)
      #expect(result.code == 0, "\(result.errors)")
      return result.text
    }
    func sounds(_ page: String) -> Int { page.components(separatedBy: "<audio").count - 1 }
    let whole = try page()
    #expect(sounds(whole) == 2 * 3 + 3 * 2 && !whole.contains("left out"))
    let last = Data(try folder.read("run/samples/step00000020-2-my_voice.wav"))
    #expect(whole.contains("data:audio/wav;base64," + last.base64EncodedString()))
    #expect(whole.contains("“Bye.”, my_voice") && whole.contains("step 22"))
    let none = try page(["--audio-limit", "0"])
    #expect(sounds(none) == 0 && none.contains("12 samples of earlier steps are left out"))
    let some = try page(["--audio-limit", "1"])
    #expect(sounds(some) <= 12 && some.utf8.count < 1_200_000)

    for wrong in [["--sample-voice", "my voice.wav"], ["--sample-every", "-1"]] {
      #expect(try train("bad", short + wrong).code == 64)
    }
    let nobody = try train("bad", short + ["--sample-every", "1", "--sample-voice", "nobody"])
    #expect(nobody.code == 66 && nobody.errors.contains("nobody"), "\(nobody.errors)")
    try folder.write("\n", to: "lines.txt")
    let nothing = try train("bad", short + sampling)
    #expect(nothing.code == 65 && nothing.errors.contains("lines.txt"), "\(nothing.errors)")
    #expect(!folder.has("bad"))
  }

  @Test func whatGoesWrongHasItsCode() throws {
    let short = ["--steps", "1"]
    #expect(try train("run", short).code == 0)
    #expect(try train("run", short).code == 73)
    let other = try train("run", short + ["--resume", "--seed", "7"])
    #expect(other.code == 78)
    #expect(other.errors.contains("--seed"))
    #expect(try train("run", ["--steps", "2", "--resume"]).code == 0)
    #expect(try train("bad", ["--distill-prob", "0"]).code == 64)
    #expect(!folder.has("bad"))

    func fails(_ code: Int32, _ word: String) throws {
      let result = try train("bad", short + ["-q"], train: "bad.ttsr")
      #expect(result.code == code, "\(result.errors)")
      #expect(result.errors.contains(word), "\(result.errors)")
      #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
      #expect(!folder.has("bad"))
    }
    try fails(66, "bad.ttsr")
    try folder.write("no stream", to: "bad.ttsr")
    try fails(65, "bad.ttsr")
    try write("bad.ttsr", 0..<2) { $0.arrays["latents"] = nil }
    try fails(65, "tts-mimi-encode")
    try write("bad.ttsr", 0..<2) { $0.arrays["tokens"] = ArrayData([Int32](arrayLiteral: 400)) }
    try fails(78, "400")
    try write("bad.ttsr", 0..<2) { $0.reject("noise") }
    try fails(65, "2 rejected")
    let stage = Stage(tool: "tts-mimi-encode", version: 1, models: ["encoder": "other"])
    try write("bad.ttsr", 0..<2, header: StreamHeader().appending(stage))
    try fails(78, "another model")
    try write("bad.ttsr", 0..<2)
    let bytes = try folder.read("bad.ttsr")
    try folder.write(Array(bytes.dropLast(9)), to: "bad.ttsr")
    try fails(65, "bad.ttsr")
    try folder.write(
      #"{"files":[],"format":"ttstools shards","from":"\#(SHA256Digest.zero)","stage":"x","version":1}"#,
      to: "listed/manifest.json")
    try write("listed/bad.ttsr", 0..<2)
    let unlisted = try train("bad", short, train: "listed/bad.ttsr")
    #expect(unlisted.code == 65)
    #expect(unlisted.errors.contains("manifest"))
  }

  @Test func aFullDiskKeepsTheLastCheckpoint() throws {
    #expect(try train("run", ["--steps", "10"]).code == 0)
    let size = try weights("run").count
    // No file may grow beyond half of a model: the next checkpoint cannot be written.
    let words = arguments("run", ["--steps", "20", "--resume"]).map { "'\($0)'" }
    let full = try runShell(
      "trap '' XFSZ; ulimit -f \(size / 1024); exec tts-train " + words.joined(separator: " "),
      directory: folder.path)
    #expect(full.code == 74, "\(full.errors)")
    #expect(folder.has("run/checkpoints/00000010.json"))
    let names = try FileManager.default.contentsOfDirectory(
      atPath: folder.file("run/checkpoints"))
    #expect(!names.contains("00000020.json"))
    #expect(try train("run", ["--steps", "20", "--resume"]).code == 0)
    #expect(try train("whole", ["--steps", "20"]).code == 0)
    #expect(try weights("run") == weights("whole"))
  }
}
