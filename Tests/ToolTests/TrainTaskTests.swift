import Base
import Foundation
import Safetensors
import TestSupport
import Testing

/// What `tts-train` learns from, and what the model is when it begins.
@Suite(.enabled(if: isBuilt("tts-train"))) struct TrainTaskTests {
  let folder: ScratchFolder
  let model = fixture("PocketTTS/lsd_train")

  init() throws {
    folder = try ScratchFolder()
    try writeTrainingShard(folder.file("train.ttsr"), 0..<16)
    try writeTrainingShard(folder.file("valid.ttsr"), 16..<20)
  }

  private func train(_ run: String, _ more: [String], steps: Int = 30) throws -> ProcessResult {
    try runTool(
      "tts-train",
      [
        "--model", model, "--train", "train.ttsr", "--valid", "valid.ttsr", "--run", run,
        "--batch", "4", "--lr", "1e-2", "--warmup", "3", "--ema-decay", "0.9", "--steps",
        "\(steps)", "--tune", "full", "-T", "1", "--report", run + ".json",
      ] + more, directory: folder.path)
  }

  private func tensors(_ path: String) throws -> SafetensorsFile {
    try SafetensorsFile(path: path + "/model.safetensors")
  }

  /// The parameters that a run changed.
  private func changed(_ run: String) throws -> Set<String> {
    let (old, new) = (try tensors(model), try tensors(folder.file(run)))
    return Set(
      try new.names.filter { try !old.names.contains($0) || new.floats($0) != old.floats($0) })
  }

  private func metric(_ run: String, _ name: String) throws -> (first: Double, last: Double) {
    let report = try JSON.parse(folder.read(run + ".json"))
    return (
      try #require(report["first_validation"]?[name]?.double),
      try #require(report["validation"]?[name]?.double)
    )
  }

  private func speaks(_ run: String) throws -> Bool {
    let result = try runTool(
      "tts-synth", ["--model", run, "-o", run + ".wav", "--max-frames", "3", "--text", "hello"],
      directory: folder.path)
    return result.code == 0
  }

  @Test func aDriftingHeadTakesThePlaceOfAnother() throws {
    let more = ["--objective", "drifting", "--flow", "num_neg=6", "--flow", "temp=1"]
    let result = try train("drifting", more)
    #expect(result.code == 0, "\(result.errors)")
    let config = String(decoding: try folder.read("drifting/config.yaml"), as: UTF8.self)
    #expect(config.contains("type: drifting"))
    #expect(try metric("drifting", "temp").last != 1)
    #expect(try speaks("drifting"))
    let other = try train(
      "drifting", ["--resume", "--objective", "drifting", "--flow", "num_neg=6"])
    #expect(other.code == 78 && other.errors.contains("--flow"), "\(other.errors)")
  }

  @Test func aBackboneLearnsGuidanceFromItself() throws {
    let result = try train(
      "guided", ["--distill", "backbone", "--guidance", "2", "--lr", "1e-3"], steps: 60)
    #expect(result.code == 0, "\(result.errors)")
    let loss = try metric("guided", "distill_mse")
    #expect(loss.last < loss.first)
    let names = try changed("guided")
    #expect(names.contains("flow_lm.out_norm.weight"))
    #expect(!names.contains { $0.hasPrefix("flow_lm.flow_net.") || $0.contains("out_eos") })
    let other = try train(
      "guided", ["--resume", "--distill", "backbone", "--guidance", "3", "--lr", "1e-3"])
    #expect(other.code == 78 && other.errors.contains("--guidance"), "\(other.errors)")
  }

  @Test func aStudentIsSmallerThanItsTeacher() throws {
    let more = [
      "--distill", "backbone", "--teacher", model, "--set", "flow_lm.transformer.num_layers=1",
    ]
    let result = try train("student", more)
    #expect(result.code == 0, "\(result.errors)")
    #expect(try !tensors(folder.file("student")).names.contains { $0.contains("layers.1.") })
    let loss = try metric("student", "distill_mse")
    #expect(loss.last < loss.first)
    #expect(try speaks("student"))
    let wide = try train(
      "wide",
      ["--distill", "backbone", "--teacher", fixture("PocketTTS/flow_matching_train")])
    #expect(wide.code == 78 && wide.errors.contains("z_dim"), "\(wide.errors)")
  }

  @Test func aPointwiseHeadLearnsFromAnother() throws {
    let refused = try train("alone", ["--objective", "pointwise"])
    #expect(refused.code == 78 && refused.errors.contains("--distill head"), "\(refused.errors)")
    let result = try train(
      "pointwise", ["--objective", "pointwise", "--distill", "head"], steps: 60)
    #expect(result.code == 0, "\(result.errors)")
    let loss = try metric("pointwise", "head_loss")
    #expect(loss.last < 0.9 * loss.first)
    #expect(try changed("pointwise").allSatisfy { $0.hasPrefix("flow_lm.flow_net.") })
    #expect(try speaks("pointwise"))
  }

  @Test func theTrigonometricPathIsForNewModels() throws {
    let refused = try train("old", ["--path", "trigonometric"])
    #expect(refused.code == 78 && refused.errors.contains("--fresh"), "\(refused.errors)")
    let more = ["--path", "trigonometric", "--fresh", "--statistics", "data"]
    let result = try train("new", more)
    #expect(result.code == 0, "\(result.errors)")
    #expect(try speaks("new"))
  }

  @Test func muonGoesOnWhereItStopped() throws {
    let more = ["--optimizer", "muon", "--muon-lr", "0.01", "--checkpoint-every", "10"]
    #expect(try train("whole", more).code == 0)
    #expect(try train("parts", more, steps: 17).code == 0)
    let rest = try train("parts", more + ["--resume"])
    #expect(rest.code == 0, "\(rest.errors)")
    #expect(try folder.read("parts/model.safetensors") == folder.read("whole/model.safetensors"))
    let loss = try metric("whole", "flow_diag")
    #expect(loss.last < loss.first)
  }

  @Test(arguments: ["head", "last:1"]) func cachedFeaturesTrainWhatComesAfterThem(
    _ part: String
  ) throws {
    let same = [
      "--tune", part, "--prompt-seconds", "0", "--text-dropout", "0", "--batch", "8",
    ]
    #expect(try train("plain", same).code == 0)
    let cached = same + ["--cache", "features", "--cache-variants", "1"]
    let first = try train("cached", cached)
    #expect(first.code == 0, "\(first.errors)")
    // Nothing is left to chance but noise, so that both learn the same, but for rounding.
    let (plain, kept) = (try metric("plain", "flow_diag"), try metric("cached", "flow_diag"))
    #expect(abs(plain.last - kept.last) <= 1e-3 * plain.last, "\(plain), \(kept)")
    #expect(plain.first != plain.last)
    let weights = try folder.read("cached/model.safetensors")
    // The folder serves other runs, is completed where a shard is damaged, and refused elsewhere.
    let shard = folder.file("features/features-00000.ttsr")
    let whole = try folder.read("features/features-00000.ttsr")
    try Data(whole.prefix(1000)).write(to: URL(fileURLWithPath: shard))
    #expect(try train("again", cached).code == 0)
    #expect(try folder.read("again/model.safetensors") == weights)
    #expect(try folder.read("features/features-00000.ttsr") == whole)
    let other = try train("other", cached + ["--seed", "9"])
    #expect(other.code == 78 && other.errors.contains("other seed"), "\(other.errors)")
    let coarse = try train("coarse", cached + ["--precision", "bf16"])
    #expect(coarse.code == 78 && coarse.errors.contains("precision"), "\(coarse.errors)")
    for (more, word) in [
      (["--tune", "full"], "--tune head"), (["--statistics", "ema"], "--statistics"),
    ] {
      let result = try train("wrong", cached + more)
      #expect(result.code == 64 && result.errors.contains(word), "\(result.errors)")
    }
  }

  @Test func layersComputedAgainChangeNothing() throws {
    #expect(try train("kept", []).code == 0)
    // No process of this kind is so small that it could keep to this.
    let little = try train("little", ["--memory", "1M"])
    #expect(little.code == 64 && little.errors.contains("--memory"), "\(little.errors)")
    let enough = try train("enough", ["--memory", "64G"])
    #expect(enough.code == 0 && enough.errors.contains("0 of 2 layers"), "\(enough.errors)")
    #expect(try folder.read("enough/model.safetensors") == folder.read("kept/model.safetensors"))
  }

  @Test func aRecipeSaysWhatTheOptionsSay() throws {
    let recipe = """
      model_config: \(model)/config.yaml
      data: {train_jsonl: train.jsonl, valid_jsonl: valid.jsonl, final_punct_dropout: 0}
      optim: {lr: 1e-3, warmup_steps: 3}
      batch_size: 4
      max_steps: 5
      run_dir: official
      ttstools: {prompts: speaker, threads: 1}
      """
    try folder.write(recipe, to: "recipe.yaml")
    func run(_ more: [String]) throws -> ProcessResult {
      try runTool("tts-train", ["--recipe", "recipe.yaml"] + more, directory: folder.path)
    }
    let result = try run([])
    #expect(result.code == 0, "\(result.errors)")
    #expect(folder.has("official/model.safetensors"))
    let record = try JSON.parse(folder.read("official/run.json"))
    #expect(record["options"]?["lr"]?.string == "0.001")
    #expect(record["steps"]?.integer == 5)
    // Options of the command line count more.
    let other = try run(["--run", "mine", "--steps", "2", "--train", "valid.ttsr"])
    #expect(other.code == 0, "\(other.errors)")
    let mine = try JSON.parse(folder.read("mine/run.json"))
    #expect(mine["steps"]?.integer == 2)
    #expect(mine["train"]?["utterances"]?.integer == 4)
    let shown = try runTool("tts-train", ["recipe", "recipe.yaml"], directory: folder.path)
    #expect(String(decoding: shown.output, as: UTF8.self).contains("--lr 0.001"))
    try folder.write("learning_rate: 1", to: "recipe.yaml")
    let wrong = try run([])
    #expect(wrong.code == 78 && wrong.errors.contains("learning_rate"), "\(wrong.errors)")
    let none = try runTool("tts-train", ["--recipe", "none.yaml"], directory: folder.path)
    #expect(none.code == 66, "\(none.errors)")
  }

  @Test func optionsThatDoNotBelongTogetherAreRefused() throws {
    for (more, word) in [
      (["--guidance", "2"], "--distill"), (["--teacher", model], "--distill"),
      (["--head-loss", "mse", "--distill", "backbone"], "--distill head"),
      (["--flow", "num_neg=0"], "--flow"), (["--flow", "nothing=1"], "--flow"),
      (["--set", "nonsense"], "--set"), (["--objective", "diffusion"], "kind of flow head"),
      (["--muon-head"], "--optimizer muon"),
    ] {
      let result = try train("wrong", more)
      #expect(result.code == 64 && result.errors.contains(word), "\(more): \(result.errors)")
    }
    let key = try train("wrong", ["--set", "flow_lm.transformer.wheels=4"])
    #expect(key.code == 78 && key.errors.contains("wheels"), "\(key.errors)")
  }
}
