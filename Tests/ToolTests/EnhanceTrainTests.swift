import Base
import Foundation
import Glibc
import Safetensors
import TestSupport
import Testing

/// `tts-enhance train` and `report`, on the smallest models.
@Suite(.enabled(if: isBuilt("tts-enhance") && isBuilt("tts-model"))) struct EnhanceTrainTests {
  let training: EnhancementTraining
  var folder: ScratchFolder { training.folder }

  init() throws { training = try EnhancementTraining() }

  private func works(_ tool: String, _ arguments: [String]) throws -> ProcessResult {
    let result = try runTool(tool, arguments, directory: folder.path)
    #expect(result.code == 0, "\(arguments): \(result.errors)")
    return result
  }

  @Test(arguments: EnhancementTraining.stages)
  func eachTrainingMakesAModelThatWorks(stage: String) throws {
    if stage == "enhancer2" { try training.makePredecessors() }
    try training.run(
      stage, "run", ["--sample-every", "2", "--sample-count", "1", "--valid-every", "2"])
    #expect(try training.progress("run", "train").count == 3)
    let valid = try training.progress("run", "valid")
    #expect(valid.count == 3 && valid.allSatisfy { $0["metrics"]?["loss"]?.double != nil })
    #expect(
      try training.metric(stage == "enhancer1" ? "lcfm/ae/mse" : "denoiser/l1", "run")
        .allSatisfy { $0 != nil })
    if stage == "denoiser" {
      #expect(valid.allSatisfy { $0["metrics"]?["si_sdr_gain"]?.double != nil })
    }

    // What is heard: what goes in and what should come out once, then what comes out.
    let samples = try FileManager.default.contentsOfDirectory(atPath: folder.file("run/samples"))
    let steps = ["0-1-input", "0-1-prediction", "0-1-target", "2-1-prediction", "3-1-prediction"]
    #expect(samples.sorted() == steps.map { "step0000000\($0).wav" })
    let page = try works("tts-enhance", ["report", "run"]).text
    #expect(page.components(separatedBy: "<audio").count == 6)
    #expect(page.contains("1, prediction") && page.contains("<figcaption>loss</figcaption>"))

    // The run is a model directory, and goes to the package and back.
    try training.writeSpeech("speech.wav", 99)
    let mode =
      stage == "denoiser" ? ["--mode", "denoise"] : ["--mode", "enhance", "--nfe", "2"]
    _ = try works("tts-enhance", ["--model", "run", "speech.wav", "-o", "better.wav"] + mode)
    #expect(try folder.read("better.wav").count > 13_000 * 2)
    _ = try works("tts-model", ["convert", "--to", "pt", "run", "-o", "package"])
    #expect(folder.has("package/ds/G/default/mp_rank_00_model_states.pt"))
    _ = try works("tts-model", ["convert", "package", "-o", "again"])
    let (one, other) = (
      try SafetensorsFile(path: folder.file("run/model.safetensors")),
      try SafetensorsFile(path: folder.file("again/model.safetensors"))
    )
    #expect(Set(one.names) == Set(other.names))
    for name in one.names {
      #expect(try one.array(name).bytes == other.array(name).bytes, "\(name)")
    }
  }

  @Test func discriminatorsBeginWhenTheyAreTold() throws {
    for begin in [1, 3] {
      let run = "begin\(begin)"
      try training.run(
        "enhancer1", run, ["--steps", "4", "--set", "gan_training_start_step=\(begin)"])
      let steps = try training.progress(run, "train")
      // The first step has them in any case: what is wrong with them shows at once.
      for (index, step) in steps.enumerated() {
        let isJudged = index == 0 || index + 1 >= begin
        for name in ["mpd", "mrd", "mpd_fake", "mrd_real", "discriminator"] {
          #expect((step["metrics"]?[name] != nil) == isJudged, "step \(index + 1): \(name)")
        }
        #expect((step["grad_norm_discriminator"]?.double ?? 0 > 0) == isJudged)
        #expect((step["lr_discriminator"] != nil) == isJudged)
      }
    }
    let never = ["--steps", "2", "--set", "gan_training_start_step=null"]
    try training.run("enhancer1", "never", never)
    #expect(try training.metric("mpd", "never") == [nil, nil])
    // They are beside the model, and have learned.
    func judges(_ run: String) throws -> [UInt8] {
      try folder.read(run + "/discriminator.safetensors")
    }
    #expect(try judges("begin1") != judges("begin3") && judges("begin3") != judges("never"))
    // A run that goes on from that model goes on with them.
    try training.run(
      "enhancer1", "next",
      ["--start", "never", "--steps", "1", "--set", "warmup_steps=9"] + never[2...])
    #expect(try judges("next") == judges("never"))
  }

  @Test func theFlowKeepsTheAutoencoder() throws {
    try training.makePredecessors()
    try training.run("enhancer2", "run", ["--denoiser", "runs/denoiser"])
    // The package's way to say the same.
    try folder.write(
      EnhancementTraining.configuration("enhancer2") + """
          enhancer_stage1_run_dir: runs/enhancer1
          denoiser_run_dir: !!python/object/apply:pathlib.PosixPath [runs, denoiser]

        """, to: "named.yaml")
    let words = training.arguments("enhancer2", "named", ["--config", "named.yaml"])
    let place = try #require(words.firstIndex(of: "--autoencoder"))
    _ = try works("tts-enhance", Array(words[..<place] + words[(place + 2)...]))
    #expect(try training.weights("named") == training.weights("run"))

    func tensors(_ run: String) throws -> SafetensorsFile {
      try SafetensorsFile(path: folder.file(run + "/model.safetensors"))
    }
    let (before, denoiser, after) = (
      try tensors("runs/enhancer1"), try tensors("runs/denoiser"), try tensors("run")
    )
    for name in after.names {
      let now = try after.array(name).bytes
      if name.hasPrefix("lcfm.cfm.") {
        #expect(try now != before.array(name).bytes, "\(name)")
      } else if !name.hasPrefix("denoiser.") {
        #expect(try now == before.array(name).bytes, "\(name)")
      }
    }
    // What is normalised by statistics needs those of the first training.
    #expect(try after.floats("normalizer.running_var_unsafe")[0].isFinite)
    // The denoiser goes on from the one that was given.
    let name = "net.input_proj.weight"
    let start = try denoiser.floats(name)
    let moved = try zip(start, after.floats("denoiser." + name)).map { abs($0 - $1) }.max() ?? 0
    #expect(moved > 0 && moved < 0.01, "\(moved)")
  }

  @Test(arguments: EnhancementTraining.stages)
  func aRunThatIsKilledEndsWithTheSameBytes(stage: String) throws {
    if stage == "enhancer2" { try training.makePredecessors() }
    let more =
      [
        "--steps", "12", "--checkpoint-every", "3", "--valid-every", "6", "--valid-batches", "2",
        "--set", "batch_size_per_gpu=1",
      ] + (stage == "enhancer1" ? ["--set", "gan_training_start_step=4"] : [])
    try training.run(stage, "whole", more)

    let process = try RunningProcess(
      toolPath("tts-enhance"), training.arguments(stage, "killed", more), directory: folder.path)
    let end = Date().addingTimeInterval(60)
    while try training.progress("killed", "train").count < 5, Date() < end { usleep(1000) }
    process.signal(SIGKILL)
    let killed = process.wait()
    #expect(killed.code == 128 + SIGKILL, "\(killed.errors)")
    #expect(!folder.has("killed/checkpoints/00000012.json"))
    let rest = try training.train(stage, "killed", more + ["--resume"])
    #expect(rest.code == 0, "\(rest.errors)")
    #expect(try training.weights("killed") == training.weights("whole"))
    if stage == "enhancer1" {
      let file = "/discriminator.safetensors"
      #expect(try folder.read("killed" + file) == folder.read("whole" + file))
    }
    #expect(try training.progress("killed") == training.progress("whole"))
  }

  @Test func aRunThatGoesOnIsTheSameRun() throws {
    try training.run("denoiser", "run")
    let weights = try training.weights("run")
    func fails(_ word: String, _ more: [String], _ code: Int32 = 78) throws {
      let result = try training.train("denoiser", "run", ["--resume", "--steps", "5"] + more)
      #expect(result.code == code && result.errors.contains(word), "\(result.errors)")
      #expect(result.errors.split(separator: "\n").count == 1)
      #expect(try training.weights("run") == weights)
    }
    try fails("max_lr", ["--set", "max_lr=5.0e-4"])
    try fails("as-package", ["--as-package"])
    try fails("precision", ["--precision", "bf16"])
    try fails("seed", ["--seed", "7"])
    try training.writeSpeech("fg/one-more.wav", 50)
    try fails("data", [])
    unlink(folder.file("fg/one-more.wav"))
    #expect(try training.train("denoiser", "run").code == 73)
    try training.run("denoiser", "run", ["--resume", "--steps", "5"])
    #expect(try training.progress("run", "train").count == 5)
  }

  @Test func modelsArithmeticAndNumbersOfSteps() throws {
    // max_steps of the configuration counts where no one says otherwise.
    let words = training.arguments("denoiser", "first", ["--set", "max_steps=2"])
    let place = try #require(words.firstIndex(of: "--steps"))
    let unsaid = Array(words[..<place] + words[(place + 2)...])
    _ = try works("tts-enhance", unsaid)
    #expect(try training.progress("first", "train").count == 2)
    #expect(try works("tts-enhance", unsaid + ["--dry-run"]).text.contains("2 steps"))

    // A model to go on from: its first losses are those that the other ended with.
    try training.run("denoiser", "next", ["--start", "first", "--valid-every", "1"])
    let (end, begin) = (
      try training.progress("first", "valid").last, try training.progress("next", "valid").first
    )
    #expect(end?["metrics"] == begin?["metrics"] && end != nil)
    try training.run(
      "denoiser", "half", ["--start", "first", "--valid-every", "1", "--precision", "bf16"])
    let (whole, half) = (try training.metric("loss", "next"), try training.metric("loss", "half"))
    #expect(whole != half)
    for (one, other) in zip(whole, half) {
      #expect(abs((one ?? 0) - (other ?? 9)) < 0.02 * (one ?? 0))
    }
    // Threads change nothing.
    try training.run("denoiser", "threads", ["--start", "first", "--valid-every", "1", "-T", "3"])
    #expect(try training.weights("threads") == training.weights("next"))
  }

  /// The YAML files of the package, whose sizes are another model's here.
  @Test func configurationsOfThePackageAreRead() throws {
    try training.makePredecessors()
    for (link, name) in [("data/fg", "fg"), ("data/bg", "bg"), ("data/rir", "rir")] {
      try FileManager.default.createDirectory(
        atPath: folder.file("data"), withIntermediateDirectories: true)
      try FileManager.default.createSymbolicLink(
        atPath: folder.file(link), withDestinationPath: folder.file(name))
    }
    try FileManager.default.moveItem(
      atPath: folder.file("runs/enhancer1"), toPath: folder.file("runs/enhancer_stage1"))
    try folder.write("batch_size_per_gpu: 32\ntraining_seconds: 3.0\n", to: "config/denoiser.yaml")
    try folder.write(
      """
      batch_size_per_gpu: 16
      denoiser_run_dir: runs/denoiser
      lcfm_training_mode: ae
      load_fg_only: true

      """, to: "config/stage1.yaml")
    // As a run directory keeps it.
    try folder.write(
      """
      batch_size_per_gpu: 32
      bg_dir: &id001 !!python/object/apply:pathlib.PosixPath
      - data
      - bg
      denoiser_run_dir: !!python/object/apply:pathlib.PosixPath
      - runs
      - denoiser
      enhancer_stage1_run_dir: !!python/object/apply:pathlib.PosixPath [runs, enhancer_stage1]
      fg_dir: !!python/object/apply:pathlib.PosixPath [data, fg]
      gan_training_start_step: null
      lcfm_training_mode: cfm
      lcfm_z_scale: 6
      nj: 64
      praat_augment_prob: 0.2
      rir_dir: !!python/object/apply:pathlib.PosixPath [data, rir]
      training_seconds: 3.0

      """, to: "config/stage2.yaml")
    let short = ["training_seconds=0.05", "batch_size_per_gpu=1"].flatMap { ["--set", $0] }
    func train(_ stage: String, _ name: String, _ more: [String]) throws -> ProcessResult {
      try works(
        "tts-enhance",
        [
          "train", "--stage", stage, "--config", "config/\(name).yaml", "--run", "run-" + name,
          "--steps", "1", "--valid-batches", "1",
        ] + short + more)
    }
    _ = try train("denoiser", "denoiser", ["--dry-run"])
    let sizes = EnhancementTraining.sizes
    _ = try train("enhancer1", "stage1", sizes + ["--start", "runs/enhancer_stage1"])
    let flow = try train("enhancer2", "stage2", sizes)
    #expect(
      flow.errors.components(separatedBy: "praat_augment_prob").count == 2, "\(flow.errors)")
    let record = String(decoding: try folder.read("run-stage2/run.json"), as: UTF8.self)
    #expect(record.contains(#""lcfm_z_scale""#))
    let config = String(decoding: try folder.read("run-stage2/config.yaml"), as: UTF8.self)
    #expect(config.contains("lcfm_z_scale: 6") && config.contains("nj: 64"))
  }

  private static let hasMPI = (try? runShell("command -v mpirun").code) == 0

  @Test(.enabled(if: hasMPI)) func processesMakeTheSameRun() throws {
    for stage in ["denoiser", "enhancer1"] {
      let more = [
        "--accumulate", "2", "--valid-batches", "3", "--set", "batch_size_per_gpu=1",
      ]
      try training.run(stage, stage + "-1", more)
      let result = try RunningProcess(
        "mpirun",
        ["--allow-run-as-root", "--oversubscribe", "-n", "2", toolPath("tts-enhance")]
          + training.arguments(stage, stage + "-2", more), directory: folder.path
      ).wait()
      #expect(result.code == 0, "\(result.errors)")
      #expect(try training.weights(stage + "-2") == training.weights(stage + "-1"))
      #expect(try training.progress(stage + "-2") == training.progress(stage + "-1"))
    }
  }

  @Test(arguments: ["enhancer1", "enhancer2"])
  func lossesFall(stage: String) throws {
    if stage == "enhancer2" { try training.makePredecessors() }
    try training.run(
      stage, "run",
      [
        "--steps", "60", "--valid-every", "60", "--valid-batches", "4", "-q", "--set",
        "max_lr=3.0e-3",
      ])
    let names =
      stage == "enhancer1"
      ? ["lcfm/ae/mse", "vocoder/mag", "vocoder/sc"] : ["lcfm/cfm/l1", "denoiser/l1"]
    for name in names {
      let losses = try training.metric(name, "run").compactMap { $0 }
      let (first, last) = (
        losses.prefix(10).reduce(0, +) / 10, losses.suffix(10).reduce(0, +) / 10
      )
      #expect(losses.count == 60 && last < 0.95 * first, "\(name): \(first) to \(last)")
    }
    let valid = try training.progress("run", "valid").compactMap { $0["metrics"]?["loss"]?.double }
    #expect(valid.count == 2 && valid[1] < 0.95 * valid[0], "\(valid)")
  }
}
