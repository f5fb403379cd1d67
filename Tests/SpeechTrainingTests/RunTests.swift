import Base
import Foundation
import Glibc
import ModelInterface
import Processes
import Tensors
import TestSupport
import Testing

@testable import SpeechTraining
@testable import Training

@Suite struct RunTests {
  let folder: ScratchFolder

  init() throws {
    folder = try ScratchFolder()
    try writeShard(folder.file("train-0.ttsr"), ids: 0..<23)
    try writeShard(folder.file("train-1.ttsr"), ids: 23..<40)
    try writeShard(folder.file("valid.ttsr"), ids: 40..<47)
  }

  func options(_ change: (inout TrainingOptions) -> Void = { _ in }) -> TrainingOptions {
    var options = TrainingOptions()
    options.run.steps = 12
    options.batch = 4
    options.run.accumulate = 2
    options.rate = LearningRate(highest: 0.05, warmup: 3)
    options.run.validEvery = 4
    options.run.checkpointEvery = 5
    options.run.averageDecay = 0.9
    options.statistics = .ema
    change(&options)
    return options
  }

  @discardableResult
  func train(
    _ name: String, _ options: TrainingOptions, resumes: Bool = false,
    observer: TrainingObserver = observer(), train: String = "train-*.ttsr",
    trainable: TinyTrainable = TinyTrainable(), group: ProcessGroup = .alone
  ) throws -> TrainingSummary {
    func corpus(_ pattern: String) throws -> Corpus {
      try Corpus(
        [folder.file(pattern)], for: trainable, maxSeconds: options.maxSeconds, name: pattern,
        onRecord: { _ in })
    }
    let run = try TrainingRun(
      directory: folder.file(name), trainable: trainable, training: try corpus(train),
      validation: try corpus("valid.ttsr"), options: options, toolVersion: 1, group: group)
    return try run.train(resumes: resumes, observer: observer)
  }

  func model(_ name: String) throws -> [UInt8] {
    try folder.read(name + "/model.safetensors")
  }

  /// The lines of the log without what depends on the clock and on where it was interrupted.
  func progress(_ name: String) throws -> [JSON] {
    try folder.read(name + "/progress.jsonl").split(separator: 10).map {
      var line = try #require(try JSON.parse(Array($0)).object)
      line["time"] = nil
      line["seconds"] = nil
      line["world_size"] = nil
      return JSON.object(line)
    }.filter { $0["type"]?.string != "checkpoint" }
  }

  @Test func theBestModelIsKeptAndPatienceEnds() throws {
    // So high a rate that the loss soon grows.
    func change(_ options: inout TrainingOptions) {
      options.run.steps = 40
      options.run.validEvery = 2
      options.rate = LearningRate(highest: 0.2, warmup: 2)
      options.run.keepsBest = true
      options.run.patience = 3
    }
    let lines = Locked<[String]>([])
    let summary = try train("run", options(change), observer: observer(lines: lines))
    #expect(summary.steps < 40 && summary.steps % 2 == 0)
    let valid = try progress("run").filter { $0["type"]?.string == "valid" }
    let losses = try valid.map { try #require($0["metrics"]?["loss"]?.double) }
    let best = try #require(losses.indices.min { losses[$0] < losses[$1] })
    #expect(losses.count - 1 - best == 3)
    #expect(lines.withLock { $0.contains { $0.contains("lowest at step \(2 * best);") } })
    // It is the model of that step.
    var short = options(change)
    short.run.steps = 2 * best
    try train("short", short)
    #expect(try folder.read("run/best/model.safetensors") == model("short"))
    #expect(try model("run") != model("short"))

    // A run that was cut off ends at the same step, with the same bytes.
    let stopped = failure {
      try train("cut", options(change), observer: observer(stoppingAt: 9))
    }
    #expect(stopped?.kind == .interrupted)
    let rest = try train("cut", options(change), resumes: true)
    #expect(rest.steps == summary.steps)
    #expect(try model("cut") == model("run"))
    #expect(
      try folder.read("cut/best/model.safetensors") == folder.read("run/best/model.safetensors"))
    // And stays there.
    #expect(try train("cut", options(change), resumes: true).steps == summary.steps)
  }

  @Test func aContinuedRunEqualsTheUninterruptedOne() throws {
    let options = options { $0.run.keepsBest = true }
    let summary = try train("whole", options)
    #expect(summary.steps == 12)
    #expect(try #require(summary.validation["loss"]) < #require(summary.firstValidation["loss"]))
    let expected = try model("whole")
    let best = try folder.read("whole/best/model.safetensors")
    let lines = try progress("whole")
    #expect(lines.filter { $0["type"] == "train" }.count == 12)
    #expect(
      lines.filter { $0["type"] == "valid" }.compactMap { $0["step"]?.integer } == [0, 4, 8, 12])

    // Interrupted again and again, wherever the run looks.
    for polls in 1...12 {
      let name = "part-\(polls)"
      var rounds = 0
      while true {
        let stopped = failure {
          _ = try train(name, options, resumes: rounds > 0, observer: observer(stoppingAt: polls))
        }
        rounds += 1
        guard let stopped else { break }
        #expect(stopped.kind == .interrupted)
        if rounds > 20 { break }
        // With a poll a process nothing would ever move on.
        if polls < 8 { break }
      }
      if polls < 8 { try train(name, options, resumes: true) }
      #expect(try model(name) == expected, "interrupted at \(polls)")
      #expect(try progress(name) == lines, "interrupted at \(polls)")
      #expect(
        try folder.read(name + "/best/model.safetensors") == best, "interrupted at \(polls)")
    }
  }

  @Test func threadsDoNotMatter() throws {
    let before = ThreadBudget.limit
    defer { ThreadBudget.limit = before }
    ThreadBudget.limit = 1
    try train("one", options())
    ThreadBudget.limit = 3
    try train("three", options())
    #expect(try model("one") == model("three"))
  }

  @Test func moreStepsGoOnWhereFewerEnded() throws {
    try train("whole", options())
    try train("part", options { $0.run.steps = 7 })
    try train("part", options(), resumes: true)
    #expect(try model("whole") == model("part"))
    let failure = failure { try train("part", options { $0.run.steps = 7 }, resumes: true) }
    #expect(failure?.kind == .usage)
  }

  @Test func aKilledRunGoesOnFromItsLastCheckpoint() throws {
    try train("whole", options())
    try train("part", options { $0.run.steps = 5 })
    // What a killed process leaves: lines past the checkpoint, half a checkpoint, a temporary file.
    let log = try folder.read("part/progress.jsonl")
    let more = Array(#"{"metrics":{},"step":6,"type":"train"}"#.utf8) + [10] + Array(#"{"st"#.utf8)
    try folder.write(log + more, to: "part/progress.jsonl")
    try folder.write("half", to: "part/checkpoints/00000010.safetensors")
    try folder.write("half", to: "part/checkpoints/00000003.safetensors")
    try folder.write("half", to: "part/best/.model.safetensors.tmp-1")
    try folder.write("half", to: "part/checkpoints/.00000010.json.tmp-1")
    try folder.write("half", to: "part/.model.safetensors.tmp-1")
    try train("part", options(), resumes: true)
    #expect(try model("whole") == model("part"))
    #expect(!folder.has("part/checkpoints/00000003.safetensors"))
    #expect(!folder.has("part/best/.model.safetensors.tmp-1"))
    #expect(!folder.has("part/checkpoints/.00000010.json.tmp-1"))
    #expect(!folder.has("part/.model.safetensors.tmp-1"))
    let valid = { (line: JSON) in line["step"]?.integer != 5 || line["type"] != "valid" }
    #expect(try progress("whole").dropFirst() == progress("part").filter(valid).dropFirst()[...])
  }

  @Test func aDamagedCheckpointIsPassedOver() throws {
    try train("whole", options())
    try train("part", options { $0.run.steps = 10 })
    #expect(Checkpoints(folder: folder.file("part/checkpoints"), kept: 3).steps() == [10, 5])
    var bytes = try folder.read("part/checkpoints/00000010.safetensors")
    bytes[bytes.count / 2] ^= 4
    try folder.write(bytes, to: "part/checkpoints/00000010.safetensors")
    let lines = Locked<[String]>([])
    try train("part", options(), resumes: true, observer: observer(lines: lines))
    #expect(lines.withLock { $0.filter { $0.hasPrefix("warning: ") } }.count == 1)
    #expect(try model("whole") == model("part"))

    try folder.write("{}", to: "part/checkpoints/00000012.json")
    for step in ["00000005", "00000010"] {
      try folder.write("", to: "part/checkpoints/\(step).safetensors")
    }
    #expect(failure { try train("part", options(), resumes: true) }?.kind == .badInput)
  }

  @Test func onlyTheNewestCheckpointsAreKept() throws {
    try train(
      "run",
      options {
        $0.run.checkpointEvery = 2
        $0.run.keptCheckpoints = 2
      })
    #expect(
      try ScratchFolder.names(in: folder.file("run/checkpoints")) == [
        "00000010.json", "00000010.safetensors", "00000012.json", "00000012.safetensors",
      ])
  }

  @Test func anExistingRunIsRefused() throws {
    try train("run", options { $0.run.steps = 1 })
    #expect(failure { try train("run", options()) }?.kind == .cannotCreate)
    try folder.write("", to: "model/config.yaml")
    #expect(failure { try train("model", options(), resumes: true) }?.kind == .cannotCreate)
  }

  @Test func oneProcessAtATime() throws {
    try train("run", options { $0.run.steps = 1 })
    let descriptor = open(folder.file("run"), O_RDONLY)
    defer { close(descriptor) }
    #expect(flock(descriptor, LOCK_EX) == 0)
    let busy = failure { try train("run", options(), resumes: true) }
    #expect(busy?.kind == .cannotCreate && busy?.problem.hasPrefix("another process") == true)
  }

  @Test func nothingButTheStepsMayDiffer() throws {
    try train("run", options { $0.run.steps = 1 })
    let changes: [(String, (inout TrainingOptions) -> Void)] = [
      ("--lr", { $0.rate.highest = 0.1 }), ("--batch", { $0.batch = 5 }),
      ("--seed", { $0.run.seed = 1 }), ("--text-dropout", { $0.loss.textDropout = 0.5 }),
      ("--statistics", { $0.statistics = .data }), ("--valid-every", { $0.run.validEvery = 3 }),
    ]
    for (name, change) in changes {
      let failure = failure { try train("run", options(change), resumes: true) }
      #expect(failure?.kind == .configuration)
      #expect(failure?.problem.hasPrefix(name + " ") == true)
    }
    let data = failure { try train("run", options(), resumes: true, train: "train-0.ttsr") }
    #expect(data?.kind == .configuration && data?.problem.hasPrefix("--train ") == true)
    var other = TinyTrainable()
    other.parameters["bias"] = Tensor([0, 0, 1])
    let model = failure { try train("run", options(), resumes: true, trainable: other) }
    #expect(model?.kind == .configuration && model?.problem.hasPrefix("--model ") == true)
  }

  @Test func validationLeavesTrainingAlone() throws {
    try train("often", options { $0.run.validEvery = 1 })
    try train("never", options { $0.run.validEvery = 100 })
    #expect(try model("often") == model("never"))
  }

  @Test func statisticsOfTheDataAreTakenBeforeTheFirstStep() throws {
    let trainable = TinyTrainable()
    let corpus = try Corpus(
      [folder.file("train-*.ttsr")], for: trainable, maxSeconds: 30, name: "", onRecord: { _ in })
    try train("data", options { $0.statistics = .data })
    try train("model", options { $0.statistics = .model })
    func mean(_ name: String) throws -> [Float] {
      let like = TrainingState(
        step: 0, parameters: ParameterSet(trainable.parameters),
        optimizers: [
          Optimizer(
            .init(), for: ParameterSet(trainable.parameters), decays: trainable.decays,
            orthogonalBlocks: { _ in nil }, highestRate: 1)
        ],
        average: ParameterSet(trainable.parameters), buffers: trainable.buffers)
      let state = try Checkpoints(folder: folder.file(name + "/checkpoints"), kept: 3)
        .newest(like: like, onDamaged: { _ in })
      return try #require(state?.buffers["mean"]).values
    }
    #expect(try mean("data") == corpus.mean)
    #expect(try mean("model") == [0, 0, 0])
  }

  @Test func unusedParametersStayAsTheyAre() throws {
    try train("run", options())
    let file = try folder.read("run/model.safetensors")
    #expect(String(decoding: file, as: UTF8.self).contains("unused"))
  }
}
