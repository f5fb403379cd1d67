import Base
import Foundation
import Records
import Safetensors
import TestSupport
import Testing

/// What `tts-model` makes of runs and of several models.
@Suite(.enabled(if: isBuilt("tts-model") && isBuilt("tts-train"))) struct ModelToolTests {
  let folder: ScratchFolder
  let model = fixture("PocketTTS/lsd_train")

  init() throws {
    folder = try ScratchFolder()
    let records = (0..<8).map { number in
      var record = Record(id: "u\(number)")
      record.text = "hello"
      record.frameRate = 12.5
      var random = RandomNumbers(seed: 1, name: record.id)
      record.arrays["latents"] = ArrayData(random.normal(12 * 32), shape: [12, 32])
      record.arrays["tokens"] = ArrayData([1, 2, Int32(3 + number)])
      return record
    }
    try writeStream(records, to: folder.file("train.ttsr"))
  }

  @discardableResult
  private func run(_ tool: String, _ arguments: [String], code: Int32 = 0) throws -> ProcessResult {
    let result = try runTool(tool, arguments, directory: folder.path)
    #expect(result.code == code, "\(tool) \(arguments): \(result.errors)")
    return result
  }

  private func train(_ run: String, _ more: [String] = []) throws {
    try self.run(
      "tts-train",
      [
        "-q", "--model", model, "--train", "train.ttsr", "--run", run, "--steps", "4", "--batch",
        "4", "--lr", "1e-2", "--warmup", "0", "--tune", "full", "--checkpoint-every", "2",
        "--ema-decay", "0.5",
      ] + more)
  }

  private func weights(_ directory: String) throws -> SafetensorsFile {
    try SafetensorsFile(path: folder.file(directory + "/model.safetensors"))
  }

  private func say(_ model: String) throws -> [UInt8] {
    try run(
      "tts-synth",
      ["--model", model, "--max-frames", "4", "--format", "f32le", "--text", "Hi."]
    ).output
  }

  @Test func aRunIsExportedAsItIsAndAtItsCheckpoints() throws {
    try train("run")
    try run("tts-model", ["export", "run", "-o", "last"])
    for name in ["model.safetensors", "config.yaml", "tokenizer.model"] {
      #expect(try folder.read("last/" + name) == folder.read("run/" + name))
    }
    #expect(try say("last") == say("run"))
    // A checkpoint is what a run of so many steps hands out.
    try train("short", ["--steps", "2"])
    try run("tts-model", ["export", "run", "--checkpoint", "2", "-o", "second"])
    #expect(
      try folder.read("second/model.safetensors") == folder.read("short/model.safetensors"))
    try run("tts-model", ["export", "run/checkpoints/00000002.safetensors", "-o", "path"])
    #expect(try folder.read("path/model.safetensors") == folder.read("short/model.safetensors"))
    // The parameters themselves are what a run without an average hands out.
    try train("plain", ["--ema-decay", "0"])
    try run("tts-model", ["export", "run", "--raw", "-o", "raw"])
    #expect(try folder.read("raw/model.safetensors") == folder.read("plain/model.safetensors"))
    #expect(try folder.read("raw/model.safetensors") != folder.read("run/model.safetensors"))

    let missing = try run("tts-model", ["export", "run", "--checkpoint", "3", "-o", "x"], code: 66)
    #expect(missing.errors.contains("there are those of 2, 4"))
    try run("tts-model", ["export", "run", "-o", "last"], code: 73)
    try run("tts-model", ["export", model, "--raw", "-o", "x"], code: 66)
    try run("tts-model", ["export", "train.safetensors", "-o", "x"], code: 64)
    var bytes = try folder.read("run/checkpoints/00000002.safetensors")
    bytes[bytes.count / 2] ^= 4
    try folder.write(bytes, to: "run/checkpoints/00000002.safetensors")
    try run("tts-model", ["export", "run", "--checkpoint", "2", "-o", "x"], code: 65)
    #expect(!folder.has("x/model.safetensors"))
  }

  @Test func exportsHaveTheFormThatIsAskedFor() throws {
    try run(
      "tts-model",
      ["export", model, "--precision", "bf16", "--name", "me/my-voice/small", "-o", "half"])
    let config = String(decoding: try folder.read("half/config.yaml"), as: UTF8.self)
    #expect(config.contains(#"weights_path: "hf://me/my-voice/small/model.safetensors""#))
    #expect(config.contains(#"tokenizer_path: "hf://me/my-voice/small/tokenizer.model""#))
    let (whole, half) = (
      try SafetensorsFile(path: model + "/model.safetensors"), try weights("half")
    )
    #expect(whole.names == half.names)
    for name in whole.names {
      let shape = try #require(whole.shape(of: name))
      #expect(half.shape(of: name) == shape)
      #expect(half.type(of: name) == (shape.count > 1 ? .bf16 : .f32), "\(name)")
      let (a, b) = (try whole.floats(name), try half.floats(name))
      // The nearest of 8 significant bits.
      #expect(zip(a, b).allSatisfy { abs($0 - $1) <= abs($0) / 256 }, "\(name)")
    }
    // The files beside the configuration are taken, as what they are of the whole ones.
    #expect(!(try say("half").isEmpty))
    try run("tts-model", ["convert", "half", "-o", "again"])
    for name in whole.names { #expect(try weights("again").floats(name) == half.floats(name)) }
    for wrong in [["--name", "me"], ["--name", "me/x@main"], ["--precision", "int8"]] {
      try run("tts-model", ["export", model, "-o", "x"] + wrong, code: 64)
    }
  }

  @Test func theMeanOfModelsIsThatOfTheirWeights() throws {
    try train("a")
    try train("b", ["--seed", "7"])
    try run("tts-model", ["average", "a", "b:3", "-o", "mean"])
    let (a, b, mean) = (try weights("a"), try weights("b"), try weights("mean"))
    #expect(mean.names == a.names)
    var differ = 0
    for name in a.names {
      let values = zip(try a.floats(name), try b.floats(name))
      let expected = values.map { Float(0.25 * Double($0) + 0.75 * Double($1)) }
      #expect(try mean.floats(name) == expected, "\(name)")
      if try a.floats(name) != b.floats(name) { differ += 1 }
    }
    #expect(differ > 5)
    #expect(!(try say("mean").isEmpty))
    let info = try run("tts-model", ["info", "mean"]).text
    #expect(info.contains("0.25 of ") && info.contains("0.75 of "), "\(info)")

    // Equal ones come out as they are; checkpoints count as models do.
    try run("tts-model", ["average", "a", "a", "a", "-o", "same"])
    for name in a.names { #expect(try weights("same").floats(name) == a.floats(name)) }
    let checkpoints = [2, 4].map { "a/checkpoints/0000000\($0).safetensors" }
    try run("tts-model", ["average"] + checkpoints + ["-o", "steps"])
    try run("tts-model", ["export", "a", "--checkpoint", "2", "-o", "a2"])
    try run("tts-model", ["average", "a2", "a", "-o", "models"])
    for name in a.names {
      #expect(try weights("steps").floats(name) == weights("models").floats(name))
    }
  }

  @Test func whatDoesNotGoTogetherIsNamed() throws {
    func fails(_ models: [String], _ word: String, code: Int32 = 78) throws {
      let result = try run("tts-model", ["average"] + models + ["-o", "x"], code: code)
      #expect(result.errors.contains(word), "\(result.errors)")
      #expect(!folder.has("x"))
    }
    try fails([model, fixture("PocketTTS/flow_matching_train")], "flow_matching")
    try fails([model], "at least two", code: 64)
    try fails([model, model + ":0"], "above 0", code: 64)
    try run("tts-model", ["convert", model, "-o", "other"])
    var bytes = try folder.read("other/tokenizer.model")
    bytes[bytes.count / 2] ^= 1
    try folder.write(bytes, to: "other/tokenizer.model")
    try fails([model, "other"], "tokenizer")
    try train("lora", ["--tune", "lora", "--lora-rank", "2"])
    try fails([model, "lora/checkpoints/00000004.safetensors"], "adapter.safetensors")
    try run("tts-model", ["average", model, "lora", "-o", "merged"])
  }
}
