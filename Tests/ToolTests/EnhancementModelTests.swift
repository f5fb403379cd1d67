import Base
import Foundation
import Safetensors
import TestSupport
import Testing

/// Models that make recordings better, among the tools for models.
@Suite(.enabled(if: isBuilt("tts-model"))) struct EnhancementModelTests {
  let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  @discardableResult
  private func run(_ arguments: [String], tool: String = "tts-model", code: Int32 = 0) throws
    -> ProcessResult
  {
    let result = try runTool(tool, arguments, directory: folder.path)
    #expect(result.code == code, "\(arguments): \(result.errors)")
    if code != 0 { #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)") }
    return result
  }

  private func info(_ model: String) throws -> [String: String] {
    let text = try run(["info", "--json", model]).output
    return try #require(try JSON.parse(text).object).compactMapValues(\.string)
  }

  private let small = """
    model: resemble-enhance
    part: enhancer
    hparams:
      n_fft: 64
      win_size: 64
      num_mels: 8
      univnet_nc: 3
      lcfm_latent_dim: 4
      vocoder_extra_dim: 4
      lcfm_training_mode: cfm
    sizes:
      autoencoder_width: 32
      flow_width: 8
      flow_layers: 2
      predictor_width: 4
      denoiser_levels: 1
      denoiser_middle_blocks: 0

    """

  @Test func randomModelsHaveTheSizesThatAreAsked() throws {
    try folder.write(small, to: "small.yaml")
    try run(["init", "--config", "small.yaml", "--seed", "3", "-o", "a"])
    try run(["init", "--config", "small.yaml", "--seed", "3", "-o", "b"])
    try run(["init", "--config", "small.yaml", "--seed", "4", "-o", "c"])
    let weights = try folder.read("a/model.safetensors")
    #expect(try weights == folder.read("b/model.safetensors"))
    #expect(try weights != folder.read("c/model.safetensors"))
    let facts = try info("a")
    #expect(facts["model"] == "Resemble-Enhance" && facts["part"] == "enhancer")
    #expect(facts["sample rate"] == "44100 Hz" && facts["training mode"] == "cfm")
    #expect(facts["latent channels"] == "4" && facts["vocoder channels"] == "3")
    #expect(facts["steps"] == nil)
    let other = try info("c")
    for mode in ["denoise", "enhance"] {
      #expect(facts["\(mode) digest"]?.count == 64)
      #expect(facts["\(mode) digest"] != other["\(mode) digest"])
    }
    let file = try SafetensorsFile(path: folder.file("a/model.safetensors"))
    #expect(file.shape(of: "lcfm.cfm.net.layers.1.dconv.weight") == [16, 8, 3])
    #expect(try file.floats("normalizer.running_var_unsafe")[0].isNaN)
    try run(["init", "--config", "small.yaml", "-o", "a"], code: 73)
    // A run that the trainer could go on from, and back.
    try run(["convert", "--to", "pt", "a", "-o", "run"])
    try run(["convert", "run", "-o", "again"])
    #expect(try folder.read("again/model.safetensors") == weights)
    #expect(try run(["fetch", "a"]).text == "a/model.safetensors\n")
  }

  @Test func wrongSizesAreNamed() throws {
    for (line, words) in [
      ("denoiser_width: 24", "denoiser_width of 16"),
      ("flow_width: wide", "'flow_width' is no size"),
      ("depth: 3", "'depth' is no size of the model"), ("flow_width: -1", "no size"),
      ("denoiser_levels: 40", "at most 10 levels"), ("predictor_width: 0", "cannot have"),
    ] {
      let key = line.prefix { $0 != ":" }
      let others = small.split(separator: "\n").filter { !$0.contains(key + ":") }
      try folder.write(others.joined(separator: "\n") + "\n  \(line)\n", to: "wrong.yaml")
      let result = try run(["init", "--config", "wrong.yaml", "-o", "x"], code: 78)
      #expect(
        result.errors.contains("wrong.yaml: ") && result.errors.contains(words), "\(result.errors)")
    }
    try folder.write("num_mels: 100000\nn_fft: 4000000\nwin_size: 64\n", to: "huge.yaml")
    try run(["init", "--config", "huge.yaml", "-o", "x"], code: 78)
    try folder.write("num_mels: 8\nbogus: 1\n", to: "bogus.yaml")
    try run(["init", "--config", "bogus.yaml", "-o", "x"], code: 78)
    try run(
      ["init", "--config", "resemble-enhance", "--tokenizer", "t.model", "-o", "x"], code: 64)
    #expect(!folder.has("x"))
  }

  /// `hparams.yaml` of a run is enough for a denoiser.
  @Test func aDenoiserIsMadeFromItsHyperParameters() throws {
    try folder.write("num_mels: 8\nn_fft: 64\nwin_size: 64\n", to: "hparams.yaml")
    try run(["init", "--config", "hparams.yaml", "-o", "model"])
    let facts = try info("model")
    #expect(facts["part"] == "denoiser" && facts["denoiser parameters"] == "10.62 M")
    #expect(facts["enhance digest"] == nil && facts["denoise digest"] != nil)
  }

  @Test(.enabled(if: hasFixture("ResembleEnhance/layout/denoiser_run/hparams.yaml")))
  func stepsAreShown() throws {
    try run(["convert", fixture("ResembleEnhance/layout/denoiser_run"), "-o", "model"])
    #expect(try info("model")["steps"] == "870000")
  }

  @Test func aModelOfAnotherKindIsNamed() throws {
    try folder.write(small, to: "small.yaml")
    try run(["init", "--config", "small.yaml", "-o", "model"])
    let words =
      "model: a model of Resemble-Enhance, which does not speak; give a model of Pocket TTS"
    for (tool, arguments) in [
      ("tts-synth", ["--text", "Hello.", "-o", "x.wav"]),
      ("tts-tokenize", ["--stage-id"]), ("tts-mimi-encode", ["--stage-id"]),
      ("tts-train", ["--train", "x.ttsr", "--run", "r"]),
    ] {
      let result = try run(["--model", "model"] + arguments, tool: tool, code: 78)
      #expect(result.errors.contains(words), "\(result.errors)")
    }
    for arguments in [
      ["merge", "--adapter", "a", "model", "-o", "x"], ["average", "model", "model", "-o", "x"],
    ] {
      #expect(try run(arguments, code: 78).errors.contains(words))
    }
    #expect(!folder.has("x") && !folder.has("x.wav"))
  }
}
