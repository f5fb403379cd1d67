import Base
import Foundation
import Records
import Safetensors
import TestSupport
import Testing

/// What `tts-train` refuses: one line on stderr, the right code, and nothing that looks like a run.
@Suite(.enabled(if: isBuilt("tts-train"))) struct TrainWrongInputTests {
  let folder: ScratchFolder
  let model = fixture("PocketTTS/lsd_train")

  init() throws {
    folder = try ScratchFolder()
    try writeTrainingShard(folder.file("train.ttsr"), 0..<12)
  }

  /// Of --train, which would add to the default, the last one alone counts.
  private func arguments(_ run: String, _ more: [String] = []) -> [String] {
    [
      "--model", model, "--run", run, "--batch", "4", "--steps", "2", "--warmup", "0", "--tune",
      "full", "-q",
    ] + (more.contains("--train") ? [] : ["--train", "train.ttsr"]) + more
  }

  private func train(_ run: String, _ more: [String] = []) throws {
    let result = try runTool("tts-train", arguments(run, more), directory: folder.path)
    #expect(result.code == 0, "\(result.errors)")
  }

  private func isOneLine(
    _ result: ProcessResult, _ code: Int32, _ words: [String], _ location: SourceLocation
  ) {
    #expect(result.code == code, "\(words): \(result.errors)", sourceLocation: location)
    #expect(
      result.errors.hasPrefix("tts-train: ") && result.errors.split(separator: "\n").count == 1
        && result.output.isEmpty, "\(words): \(result.errors)", sourceLocation: location)
    for word in words {
      #expect(result.errors.contains(word), "\(result.errors)", sourceLocation: location)
    }
  }

  /// Runs the tool, which must fail before it has written anything.
  private func fails(
    _ code: Int32, _ words: String..., run: String = "bad", with more: [String] = [],
    location: SourceLocation = #_sourceLocation
  ) throws {
    let before = try folder.names()
    let result = try runTool("tts-train", arguments(run, more), directory: folder.path)
    isOneLine(result, code, words, location)
    #expect(try folder.names() == before, sourceLocation: location)
  }

  // MARK: Recipes and records

  @Test func recipesWithUnknownKeys() throws {
    for (recipe, key) in [
      ("batch_sise: 4", "'batch_sise'"), ("optim: {lrate: 1}", "'optim.lrate'"),
      ("data: {train_json: x}", "'data.train_json'"),
    ] {
      try folder.write(recipe + "\n", to: "recipe.yaml")
      try fails(78, "recipe.yaml: unknown key \(key)", with: ["--recipe", "recipe.yaml"])
    }
    try folder.write("ttstools: {promts: cut}\n", to: "recipe.yaml")
    let result = try runTool(
      "tts-train", arguments("bad", ["--recipe", "recipe.yaml"]), directory: folder.path)
    #expect(result.code == 64 && result.errors.contains("--promts"), "\(result.errors)")
  }

  @Test func aTrainingSetWithoutUtterances() throws {
    try writeTrainingShard(folder.file("empty.ttsr"), 0..<0)
    try fails(65, "--train: no utterance to learn from", with: ["--train", "empty.ttsr"])
    try fails(65, "--valid: no utterance to learn from", with: ["--valid", "empty.ttsr"])
    try fails(
      65, "empty.ttsr: no utterance to learn from",
      with: ["--train", "train.ttsr", "empty.ttsr:2"])
  }

  /// Refuses training data with the records changed.
  private func refused(
    _ code: Int32, _ words: String..., header: StreamHeader = StreamHeader(),
    location: SourceLocation = #_sourceLocation, change: (inout Record) -> Void = { _ in }
  ) throws {
    try writeTrainingShard(folder.file("changed.ttsr"), 0..<2, header: header, change: change)
    for option in ["--train", "--valid"] {
      let more = [option, "changed.ttsr"]
      let before = try folder.names()
      let result = try runTool("tts-train", arguments("bad", more), directory: folder.path)
      isOneLine(result, code, ["changed.ttsr: "] + words, location)
      #expect(try folder.names() == before, sourceLocation: location)
    }
  }

  @Test func recordsOfAnotherModel() throws {
    func made(by tool: String) -> StreamHeader {
      StreamHeader().appending(Stage(tool: tool, version: 1, models: ["model": "other"]))
    }
    try refused(78, "latents were made with another model", header: made(by: "tts-mimi-encode"))
    try refused(78, "tokens were made with another model", header: made(by: "tts-tokenize"))
    try refused(78, "record 'u0'", "latents of shape [4, 16]") {
      $0.arrays["latents"] = ArrayData([Float](repeating: 0, count: 64), shape: [4, 16])
    }
    try refused(78, "record 'u0'", "50.0 latent frames a second") { $0.frameRate = 50 }
    try refused(78, "record 'u0'", "token 400") {
      $0.arrays["tokens"] = ArrayData([400] as [Int32])
    }
    try refused(78, "record 'u0'", "token -1") { $0.arrays["tokens"] = ArrayData([-1] as [Int32]) }
  }

  @Test func latentsThatAreNoNumbers() throws {
    for value in [Float.nan, .infinity, -.infinity] {
      try refused(65, "record 'u1'", "latents that are not finite numbers") { record in
        guard record.id == "u1", var values = try? record.arrays["latents"]?.floats() else {
          return
        }
        values[values.count - 1] = value
        record.arrays["latents"] = ArrayData(values, shape: [values.count / 32, 32])
      }
    }
  }

  // MARK: Models to learn from

  @Test func teachersThatDoNotFit() throws {
    let backbone = ["--distill", "backbone"]
    let (other, head) = (
      fixture("PocketTTS/flow_matching_train"), fixture("PocketTTS/head_distillation")
    )
    try fails(78, "z_dim", with: backbone + ["--teacher", other])
    try fails(66, "nowhere: no such model", with: backbone + ["--teacher", "nowhere"])
    try fails(66, "nowhere.yaml: no such model", with: backbone + ["--teacher", "nowhere.yaml"])
    try fails(66, "nowhere: no such model", with: ["--distill", "head", "--teacher", "nowhere"])
    try fails(
      66, "nowhere.safetensors: no such model",
      with: ["--distill", "head", "--head-from", "nowhere.safetensors"])
    // A head of another shape, and a file without one.
    try fails(
      78, other + ": tensor 'flow_net.", with: ["--distill", "head", "--head-from", other])
    try fails(
      78, "cases.safetensors: tensor 'flow_net.",
      with: ["--distill", "head", "--head-from", head + "/cases.safetensors"])
    // Fewer layers than the student has; then as many.
    let small = ["--set", "flow_lm.transformer.num_layers=1"]
    try train("small", backbone + ["--teacher", model] + small)
    let from = backbone + ["--teacher", model, "--student-from", "small"]
    try fails(78, "small: it has 1 layers, the student 2", with: from)
    try train("student", from + small)
    try fails(
      66, "nowhere: no such model",
      with: backbone + ["--teacher", model, "--student-from", "nowhere"])
  }

  @Test func checkpointsOfAnotherModel() throws {
    try train("run")
    try train("other", ["--fresh", "--set", "flow_lm.transformer.num_layers=1"])
    for suffix in ["json", "safetensors"] {
      let name = "checkpoints/00000002." + suffix
      try folder.write(folder.read("other/" + name), to: "run/" + name)
    }
    let weights = try folder.read("run/model.safetensors")
    let more = ["--steps", "4", "--resume"]
    let result = try runTool("tts-train", arguments("run", more), directory: folder.path)
    // The checkpoint is named as it is passed over; the failure is one line.
    let lines = result.errors.split(separator: "\n")
    #expect(result.code == 78 && lines.count <= 2, "\(result.errors)")
    #expect(lines.allSatisfy { $0.contains("it belongs to another model") }, "\(result.errors)")
    #expect(try folder.read("run/model.safetensors") == weights)
    try fails(78, "other: --set is", run: "other", with: more + ["--fresh"])
    try fails(
      78, "small: --model is not what the run was begun with", run: try smallRun(), with: more)
  }

  /// A run that began with another model.
  private func smallRun() throws -> String {
    try train("first")
    let result = try runTool(
      "tts-train", ["--model", "first"] + arguments("small").dropFirst(2), directory: folder.path)
    #expect(result.code == 0, "\(result.errors)")
    return "small"
  }

  // MARK: Disks and permissions

  private static let isRoot = geteuid() == 0
  /// Whether a file system of our own can be mounted.
  private static let canMount =
    (try? runShell("unshare --mount mount -t tmpfs none /mnt").code) == 0

  private var shellWords: (_ run: String, _ more: [String]) -> String {
    { arguments($0, $1).map { "'\($0)'" }.joined(separator: " ") }
  }

  @Test func foldersThatCannotBeMade() throws {
    try folder.write("a file", to: "file")
    try fails(73, "file/run: cannot create", run: "file/run")
    try fails(73, "file: ", run: "file")
    let cached = ["--tune", "head", "--cache", "file/features"]
    let result = try runTool("tts-train", arguments("run", cached), directory: folder.path)
    isOneLine(result, 73, ["file/features: cannot create"], #_sourceLocation)
    #expect(!folder.has("run/model.safetensors") && !folder.has("run/config.yaml"))
  }

  @Test(.enabled(if: !isRoot)) func foldersThatMayNotBeWritten() throws {
    try FileManager.default.createDirectory(
      atPath: folder.file("closed"), withIntermediateDirectories: true,
      attributes: [.posixPermissions: 0o555])
    try fails(73, "closed/run: cannot create", run: "closed/run")
    try fails(73, "closed", run: "closed")
    try train("run")
    let checkpoints = folder.file("run/checkpoints")
    try FileManager.default.setAttributes([.posixPermissions: 0o555], ofItemAtPath: checkpoints)
    defer {
      try? FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: checkpoints)
    }
    let weights = try folder.read("run/model.safetensors")
    try fails(73, "run/checkpoints/", run: "run", with: ["--steps", "4", "--resume"])
    #expect(try folder.read("run/model.safetensors") == weights)
  }

  /// Root may write anywhere but here.
  @Test(.enabled(if: canMount)) func aFileSystemThatIsOnlyRead() throws {
    try train("run")
    for (run, more) in [("run", ["--steps", "4", "--resume"]), ("run/new", [])] {
      let result = try runShell(
        """
        exec unshare --mount sh -c "mount --bind run run && mount -o remount,bind,ro run &&
          exec tts-train \(shellWords(run, more))"
        """, directory: folder.path)
      isOneLine(result, 73, [run, "read-only file system"], #_sourceLocation)
    }
    #expect(try folder.read("run/run.json").count > 0 && !folder.has("run/new"))
    try train("run", ["--steps", "4", "--resume"])
  }

  @Test func aFullDiskUnderTheCache() throws {
    let cached = ["--tune", "head", "--cache", "features", "--cache-variants", "1"]
    // No file may grow beyond 16 kB: the shard of features cannot be written.
    let full = try runShell(
      "trap '' XFSZ; ulimit -f 32; exec tts-train " + shellWords("run", cached),
      directory: folder.path)
    isOneLine(full, 74, ["features/features-00000.ttsr: cannot write"], #_sourceLocation)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("features")).isEmpty)
    #expect(!folder.has("run/model.safetensors"))
    // What a killed process was writing counts as nothing, as a part of a shard does.
    try folder.write("half", to: "features/.features-00000.ttsr.tmp-1-1")
    try folder.write("half", to: "features/features-00000.ttsr")
    try train("run", cached + ["--resume"])
    try train("whole", cached.map { $0 == "features" ? "others" : $0 })
    #expect(try folder.read("run/model.safetensors") == folder.read("whole/model.safetensors"))
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder.file("features"))
        == ["features-00000.ttsr"])
    #expect(
      try folder.read("features/features-00000.ttsr") == folder.read("others/features-00000.ttsr"))
  }
}
