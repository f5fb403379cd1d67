import Base
import Foundation
import Glibc
import TestSupport
import Testing

/// A folder with recordings of a third of a second and configurations of the smallest models, to train on.
struct EnhancementTraining {
  let folder: ScratchFolder

  static let stages = ["denoiser", "enhancer1", "enhancer2"]

  init() throws {
    folder = try ScratchFolder()
    for number in 0..<13 {
      try writeSpeech("fg/\(number % 2 == 0 ? "a" : "b")/\(number).wav", number)
    }
    for number in 0..<2 {
      var random = RandomNumbers(seed: UInt64(number), name: "noise")
      let noise = random.normal(22_050).map { 0.1 * $0 }
      try folder.write(wave([noise], rate: 44_100), to: "bg/\(number).wav")
      let room = random.normal(2205).enumerated().map { index, value in
        index == 0 ? 1 : 0.3 * value * exp(-Float(index) / 400)
      }
      try folder.write(wave([room], rate: 44_100), to: "rir/\(number).wav")
    }
    for stage in Self.stages { try folder.write(Self.configuration(stage), to: stage + ".yaml") }
  }

  func writeSpeech(_ name: String, _ seed: Int) throws {
    let sound = speechLike(seconds: 0.7, rate: 44_100, seed: UInt64(seed))
    try folder.write(wave([Array(sound.dropFirst(15_435))], rate: 44_100), to: name)
  }

  /// Of the smallest model, 0.1 s long and two rows wide.
  static func configuration(_ stage: String, steps: Bool = true) -> String {
    let training =
      "training_seconds: 0.1\n  batch_size_per_gpu: 2\n  max_lr: 1.0e-3\n  warmup_steps: 2"
    guard stage != "denoiser" else {
      return """
        model: resemble-enhance
        part: denoiser
        sizes: {denoiser_levels: 1, denoiser_middle_blocks: 0}
        hparams:
          \(training)

        """
    }
    return """
      model: resemble-enhance
      part: enhancer
      sizes:
        autoencoder_width: 32
        flow_width: 8
        flow_layers: 2
        predictor_width: 4
        denoiser_levels: 1
        denoiser_middle_blocks: 0
        discriminator_divisor: 32
      hparams:
        n_fft: 64
        win_size: 64
        num_mels: 8
        univnet_nc: 3
        lcfm_latent_dim: 4
        vocoder_extra_dim: 4
        lcfm_training_mode: \(stage == "enhancer1" ? "ae" : "cfm")
        \(training)

      """
  }

  /// What names the sizes of that enhancer, for configurations that do not.
  static let sizes = [
    "n_fft=64", "win_size=64", "num_mels=8", "univnet_nc=3", "lcfm_latent_dim=4",
    "vocoder_extra_dim=4",
  ].flatMap { ["--set", $0] }

  func arguments(_ stage: String, _ run: String, _ more: [String] = []) -> [String] {
    var words = ["train", "--stage", stage, "--run", run, "-T", "1"]
    func add(_ name: String, _ value: String) {
      if !more.contains("--" + name) { words += ["--" + name, value] }
    }
    for name in stage == "enhancer1" ? ["fg"] : ["fg", "bg", "rir"] { add(name, name) }
    if !more.contains("--start") { add("config", stage + ".yaml") }
    if stage == "enhancer2", !more.contains("--start") { add("autoencoder", "runs/enhancer1") }
    add("steps", "3")
    return words + more
  }

  func train(_ stage: String, _ run: String, _ more: [String] = []) throws -> ProcessResult {
    try runTool("tts-enhance", arguments(stage, run, more), directory: folder.path)
  }

  /// A run that must work.
  @discardableResult
  func run(
    _ stage: String, _ run: String, _ more: [String] = [],
    location: SourceLocation = #_sourceLocation
  ) throws -> ProcessResult {
    let result = try train(stage, run, more)
    #expect(result.code == 0, "\(result.errors)", sourceLocation: location)
    return result
  }

  /// The trainings that those of the flow begin with: `runs/enhancer1`, `runs/denoiser`.
  func makePredecessors() throws {
    for stage in ["enhancer1", "denoiser"] {
      try run(stage, "runs/" + stage, ["--steps", "1", "-q"])
    }
  }

  /// The lines of a run's log of a type, without what depends on the clock and the machine.
  func progress(_ run: String, _ type: String? = nil) throws -> [JSON] {
    let bytes = (try? folder.read(run + "/progress.jsonl")) ?? []
    return try bytes.split(separator: 10).compactMap { line in
      var object = try #require(try JSON.parse(Array(line)).object)
      for name in ["time", "seconds", "world_size"] { object[name] = nil }
      return type.map { object["type"] == .string($0) } ?? (object["type"] != "checkpoint")
        ? .object(object) : nil
    }
  }

  /// A metric of the steps.
  func metric(_ name: String, _ run: String) throws -> [Double?] {
    try progress(run, "train").map { $0["metrics"]?[name]?.double }
  }

  func weights(_ run: String) throws -> [UInt8] { try folder.read(run + "/model.safetensors") }
}
