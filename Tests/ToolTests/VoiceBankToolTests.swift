import Base
import Foundation
import Records
import Safetensors
import TestSupport
import Testing

/// Voices by name: what they learn from, and what an exported model is given.
@Suite(.enabled(if: isBuilt("tts-train") && isBuilt("tts-model"))) struct VoiceBankToolTests {
  let folder: ScratchFolder
  let model = fixture("PocketTTS/lsd_train")

  init() throws {
    folder = try ScratchFolder()
    try writeTrainingShard(folder.file("train.ttsr"), 0..<12)
    try writeTrainingShard(folder.file("valid.ttsr"), 12..<16)
    try writeBank("bank.ttsr")
  }

  /// References of the four speakers.
  private func writeBank(_ name: String, seed: UInt64 = 3, speakers: Range<Int> = 0..<4) throws {
    try writeTrainingShard(folder.file(name), speakers) { record in
      var random = RandomNumbers(seed: seed, name: record.id)
      record.arrays["latents"] = ArrayData(random.normal(60 * 32), shape: [60, 32])
      record.arrays["tokens"] = nil
    }
  }

  @discardableResult
  private func run(_ tool: String, _ arguments: [String], code: Int32 = 0) throws -> ProcessResult {
    let result = try runTool(tool, arguments, directory: folder.path)
    #expect(result.code == code, "\(tool) \(arguments): \(result.errors)")
    if code != 0 { #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)") }
    return result
  }

  @discardableResult
  private func train(_ run: String, _ more: [String], code: Int32 = 0) throws -> ProcessResult {
    try self.run(
      "tts-train",
      [
        "--model", model, "--train", "train.ttsr", "--valid", "valid.ttsr", "--run", run,
        "--batch", "4", "--lr", "1e-2", "--warmup", "0", "--steps", "6", "--voice-dropout", "0",
      ] + more + (code == 0 ? [] : ["-q"]), code: code)
  }

  private func weights(_ run: String) throws -> [UInt8] {
    try folder.read(run + "/model.safetensors")
  }

  private let bank = ["--prompts", "bank", "--voice-bank", "bank.ttsr"]

  @Test func aRunLearnsFromABank() throws {
    let whole = try train("whole", bank + ["-T", "1"])
    #expect(whole.errors.contains("--voice-bank: 4 voices"), "\(whole.errors)")
    try train("half", bank + ["--steps", "3", "-T", "2"])
    try train("half", bank + ["--resume", "-T", "2"])
    #expect(try weights("half") == weights("whole"))
    try train("plain", [])
    #expect(try weights("plain") != weights("whole"))
    // Another bank is another run, and is heard.
    try writeBank("other.ttsr", seed: 4)
    let other = ["--prompts", "bank", "--voice-bank", "other.ttsr"]
    try train("other", other)
    #expect(try weights("other") != weights("whole"))
    let changed = try train("whole", other + ["--steps", "9", "--resume"], code: 78)
    #expect(changed.errors.contains("--voice-bank is not what"), "\(changed.errors)")
    let without = try train("whole", ["--steps", "9", "--resume"], code: 78)
    #expect(without.errors.contains("--prompt"), "\(without.errors)")

    // A recipe may say so; the prompts of cuts are not those of references.
    try folder.write(
      """
      model_config: \(model)/config.yaml
      data: {train_jsonl: train.jsonl, max_voice_prompt_sec: 5, final_punct_dropout: 0}
      ttstools: {prompts: bank, voice-bank: [bank.ttsr]}
      """, to: "recipe.yaml")
    let recipe = try run("tts-train", ["recipe", "recipe.yaml"]).text
    #expect(recipe.contains("--voice-bank bank.ttsr") && !recipe.contains("--prompt-seconds"))
  }

  @Test func featuresAreKeptOfThePromptsToo() throws {
    let cached = bank + ["--tune", "head", "--cache", "features", "--cache-variants", "2"]
    try train("first", cached)
    try train("second", cached)
    #expect(try weights("first") == weights("second"))
    try writeBank("other.ttsr", seed: 4)
    let other = try train("third", cached + ["--voice-bank", "other.ttsr"], code: 65)
    #expect(other.errors.contains("a second reference of the speaker 's0'"), "\(other.errors)")
    try FileManager.default.removeItem(atPath: folder.file("bank.ttsr"))
    try writeBank("bank.ttsr", seed: 4)
    let changed = try train("third", cached, code: 78)
    #expect(changed.errors.contains("other voice-bank"), "\(changed.errors)")
  }

  @Test func whatDoesNotFitIsRefused() throws {
    for wrong in [["--prompts", "bank"], ["--voice-bank", "bank.ttsr"]] {
      #expect(
        try runTool(
          "tts-train", ["--model", model, "--train", "train.ttsr", "--run", "bad"] + wrong,
          directory: folder.path
        ).code == 64)
    }
    try writeBank("few.ttsr", speakers: 0..<3)
    let few = try train("bad", ["--prompts", "bank", "--voice-bank", "few.ttsr"], code: 65)
    for word in ["--train: record 'u3'", "'s3'", "3 utterances"] {
      #expect(few.errors.contains(word), "\(few.errors)")
    }
    try train("bad", ["--prompts", "bank", "--voice-bank", "none.ttsr"], code: 66)
    #expect(!folder.has("bad"))
  }

  @Test(arguments: ["f32", "bf16"]) func anExportedModelHasVoices(_ precision: String) throws {
    try train("run", bank)
    let sound = wave([speechLike(seconds: 2, rate: 24000)], rate: 24000)
    try folder.write(sound, to: "people/anna.wav")
    try folder.write(wave([speechLike(seconds: 1, rate: 16000)], rate: 16000), to: "people/Bo.WAV")
    try folder.write("no sound", to: "people/notes.txt")
    try folder.write(sound, to: "me.wav")
    let export = ["export", "run", "--precision", precision]
    try run("tts-model", export + ["--voices", "people", "m*.wav", "bank.ttsr", "-o", "model"])
    try run("tts-model", export + ["-o", "bare"])
    #expect(
      try folder.names(in: "model") == [
        "config.yaml", "model.safetensors", "tokenizer.model", "voices",
      ])
    #expect(
      try folder.names(in: "model/voices")
        == ["Bo", "anna", "me", "s0", "s1", "s2", "s3"].map { $0 + ".safetensors" })
    #expect(try folder.read("model/model.safetensors") == folder.read("bare/model.safetensors"))
    // They are what a voice exported with the very model is.
    try run(
      "tts-synth", ["--model", "model", "--voice", "me.wav", "--export-voice", "me.safetensors"])
    #expect(try folder.read("model/voices/me.safetensors") == folder.read("me.safetensors"))
    func say(_ voice: String) throws -> [UInt8] {
      let arguments = [
        "--model", "model", "--voice", voice, "--max-frames", "4", "--format", "f32le",
      ]
      return try run("tts-synth", arguments + ["--text", "Hi."]).output
    }
    #expect(try say("anna") == say("people/anna.wav"))
    let said = try ["anna", "s0", "s1"].map(say)
    #expect(Set(said).count == 3 && said.allSatisfy { !$0.isEmpty })
    // The reference's sixty frames, and what stands before a voice.
    let voice = try SafetensorsFile(path: folder.file("model/voices/s0.safetensors"))
    let length = try voice.array("transformer.layers.0.self_attn/offset").int64s()[0]
    #expect((60...61).contains(length))
  }

  @Test func voicesThatCannotBeMadeLeaveNoModel() throws {
    let sound = wave([speechLike(seconds: 1, rate: 24000)], rate: 24000)
    for name in ["a/me.wav", "b/me.wav", "a/no.name.wav", "s0.wav"] {
      try folder.write(sound, to: name)
    }
    try folder.write("no sound", to: "bad.wav")
    try folder.write("", to: "empty/x.txt")
    func fails(_ code: Int32, _ word: String, _ voices: String...) throws {
      let result = try run(
        "tts-model", ["export", model, "--voices"] + voices + ["-o", "out"], code: code)
      #expect(result.errors.contains(word), "\(result.errors)")
      #expect(!folder.has("out/model.safetensors") && !folder.has("out/config.yaml"))
      if folder.has("out") { #expect(try folder.names(in: "out").allSatisfy { $0 == "voices" }) }
    }
    try fails(66, "none.wav", "none.wav")
    try fails(66, "no recordings", "empty")
    try fails(64, "second voice 'me'", "a/me.wav", "b/me.wav")
    try fails(64, "'no.name'", "a/no.name.wav")
    try fails(65, "bad.wav", "bad.wav")
    try folder.write("states", to: "old.safetensors")
    try fails(64, "old.safetensors: an exported voice", "old.safetensors")
    try fails(64, "second voice 's0'", "s0.wav", "bank.ttsr")
    let stage = Stage(tool: "tts-mimi-encode", version: 1, models: ["encoder": "other"])
    try writeTrainingShard(
      folder.file("other.ttsr"), 0..<1, header: StreamHeader().appending(stage))
    try fails(78, "another model", "other.ttsr")
  }
}

extension ScratchFolder {
  /// The names in a folder of it, sorted, hidden ones included.
  func names(in name: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: file(name)).sorted()
  }
}
