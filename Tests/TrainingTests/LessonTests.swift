import Base
import Foundation
import Processes
import Safetensors
import Tensors
import TestSupport
import Testing

@testable import Training

/// A run of another lesson than speech, with two groups of parameters.
@Suite struct LessonTests {
  let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  private func options(_ change: (inout RunOptions) -> Void = { _ in }) -> RunOptions {
    var options = RunOptions()
    options.steps = 20
    options.accumulate = 2
    options.averageDecay = 0
    options.validEvery = 5
    options.checkpointEvery = 4
    options.keepsBest = true
    options.sampleEvery = 10
    change(&options)
    return options
  }

  @discardableResult
  private func train(
    _ name: String, _ options: RunOptions, lesson: LeastSquares = LeastSquares(),
    resumes: Bool = false, observer: TrainingObserver = observer(), group: ProcessGroup = .alone
  ) throws -> TrainingSummary {
    try TrainingRun(
      directory: folder.file(name), lesson: lesson, options: options, tool: "made-up",
      toolVersion: 1, group: group
    ).train(resumes: resumes, observer: observer)
  }

  private func lines(_ name: String) throws -> [JSON] {
    try folder.read(name + "/progress.jsonl").split(separator: 10).map {
      var line = try #require(try JSON.parse(Array($0)).object)
      for key in ["time", "seconds", "world_size"] { line[key] = nil }
      return JSON.object(line)
    }.filter { !["checkpoint", "run_start"].contains($0["type"]?.string) }
  }

  /// All that a run leaves but its log and its events, which know the time, and older checkpoints.
  private func files(_ name: String) throws -> [String: [UInt8]] {
    var files: [String: [UInt8]] = [:]
    for path in ["model.safetensors", "best/model.safetensors", "run.json"] {
      files[path] = try folder.read(name + "/" + path)
    }
    for suffix in ["json", "safetensors"] {
      files[suffix] = try folder.read(name + "/checkpoints/00000020." + suffix)
    }
    for sample in try ScratchFolder.names(in: folder.file(name + "/samples")) {
      files[sample] = try folder.read(name + "/samples/" + sample)
    }
    return files
  }

  @Test func aContinuedRunEqualsTheUninterruptedOne() throws {
    let summary = try train("whole", options())
    #expect(summary.steps == 20)
    #expect(try #require(summary.validation["loss"]) < #require(summary.firstValidation["loss"]))
    let (expected, log) = (try files("whole"), try lines("whole"))
    #expect(
      expected.keys.filter { $0.hasSuffix(".wav") }.sorted()
        == ["00-1-input", "00-1-prediction", "10-1-prediction", "20-1-prediction"].map {
          "step000000\($0).wav"
        })

    for polls in [1, 4, 9, 14, 20, 27, 36] {
      let name = "cut-\(polls)"
      let stopped = failure {
        try train(name, options(), observer: observer(stoppingAt: polls))
      }
      #expect(stopped?.kind == .interrupted)
      try train(name, options(), resumes: true)
      #expect(try files(name) == expected, "interrupted at \(polls)")
      #expect(try lines(name) == log, "interrupted at \(polls)")
    }
  }

  /// Where no rate depends on the number of steps.
  @Test func tenStepsAndTenMoreAreTwenty() throws {
    var lesson = LeastSquares()
    lesson.holdsRate = true
    try train("whole", options(), lesson: lesson)
    try train("parts", options { $0.steps = 10 }, lesson: lesson)
    try train("parts", options(), lesson: lesson, resumes: true)
    #expect(try files("parts") == files("whole"))
    #expect(try lines("parts") == lines("whole"))
  }

  @Test func aGroupWithoutGradientsStandsStill() throws {
    try train(
      "run",
      options {
        $0.checkpointEvery = 1
        $0.keptCheckpoints = 30
      })
    let start = LeastSquares().parameters
    func checkpoint(_ step: Int) throws -> (steps: [Int], perParameter: JSON, SafetensorsFile) {
      let stem = "run/checkpoints/" + padded(step, to: 8)
      let json = try JSON.parse(folder.read(stem + ".json"))
      let steps = try #require(json["group_steps"]?.array).compactMap { $0.integer.map { Int($0) } }
      return (
        steps, try #require(json["optimizer_steps"]),
        try SafetensorsFile(path: folder.file(stem + ".safetensors"))
      )
    }
    // The critic learns in step 1, then from step 5 on.
    for (step, count) in [(1, 1), (2, 1), (4, 1), (5, 2), (6, 3), (20, 17)] {
      let (steps, counts, _) = try checkpoint(step)
      #expect(steps == [step, count])
      #expect(counts["critic.bias"]?.integer == count && counts["fit.weight"]?.integer == step)
      #expect(counts["fit.unused"]?.integer == 0)
    }
    let (first, fourth, fifth) = (try checkpoint(1).2, try checkpoint(4).2, try checkpoint(5).2)
    for prefix in ["parameter.", "first.", "second."] {
      let name = prefix + "critic.weight"
      #expect(try first.floats(name) == fourth.floats(name))
      #expect(try fourth.floats(name) != fifth.floats(name))
      #expect(
        try first.floats(prefix + "fit.weight") != fourth.floats(prefix + "fit.weight"))
    }
    #expect(try first.floats("parameter.critic.weight") != start["critic.weight"]?.values)
    #expect(try fifth.floats("parameter.fit.unused") == [1, 2])

    // Each group has its own rate, by its own steps.
    let training = try lines("run").filter { $0["type"]?.string == "train" }
    for (index, line) in training.enumerated() {
      let step = index + 1
      let learns = step == 1 || step >= 5
      #expect((line["grad_norm_critic"]?.double != nil) == learns)
      #expect((line["metrics"]?["critic"] != nil) == learns)
      #expect(try #require(line["grad_norm"]?.double) > 0)
      let count = step == 1 ? 0 : step - 4
      #expect(
        line["lr_critic"]?.double
          == (learns ? LeastSquares().groups[1].rate.rate(step: count, of: 20) : nil))
      #expect(line["lr"]?.double == LeastSquares().groups[0].rate.rate(step: index, of: 20))
    }
  }

  @Test(.timeLimit(.minutes(1))) func processesMakeTheSameRun() throws {
    let options = options { $0.accumulate = 4 }
    try train("one", options)
    let results = inGroup(of: 4) { group in
      _ = try train("four", options, group: group)
    }
    for result in results { try result.get() }
    #expect(try files("four") == files("one"))
    #expect(try lines("four") == lines("one"))
  }

  @Test func whatTheLessonSaysMayNotDiffer() throws {
    try train("run", options { $0.steps = 1 })
    func problem(_ change: (inout LeastSquares) -> Void) -> Failure? {
      var lesson = LeastSquares()
      change(&lesson)
      return failure { try train("run", options(), lesson: lesson, resumes: true) }
    }
    let option = problem { $0.criticBegins = 7 }
    #expect(option?.kind == .configuration)
    #expect(option?.problem == "--critic-begins is 7, the run was begun with 5")
    let data = problem { $0.seed = 4 }
    #expect(data?.problem == "--noise is not what the run was begun with")
    let record = try JSON.parse(folder.read("run/run.json"))
    #expect(record["stage"]?["tool"] == "made-up")
    #expect(record["stage"]?["parameters"]?["noise"] == "3")
  }

  @Test func aLossThatIsNoNumberIsTold() throws {
    var lesson = LeastSquares()
    lesson.brokenStep = 3
    let failure = failure { try train("run", options(), lesson: lesson) }
    #expect(failure?.problem == "the loss is not finite at step 3")
  }

  @Test func aCheckpointOfOtherGroupsIsNotTaken() throws {
    try train("run", options { $0.steps = 4 })
    var json = try #require(try JSON.parse(folder.read("run/checkpoints/00000004.json")).object)
    for steps: JSON in [[4], [4, 5], [4, 1, 1]] {
      json["group_steps"] = steps
      try folder.write(JSON.object(json).canonicalBytes, to: "run/checkpoints/00000004.json")
      #expect(failure { try train("run", options(), resumes: true) }?.kind == .configuration)
    }
  }
}

@Suite struct WarmupDecayTests {
  @Test func ratesAreThoseOfDeepSpeed() throws {
    let path = fixture("ResembleEnhance/schedule/cases.json")
    let cases = try JSON.parse(Array(Data(contentsOf: URL(fileURLWithPath: path))))["cases"]?.array
    for entry in try #require(cases) {
      let given = try #require(entry["hparams"])
      let schedule = LearningRate.warmupDecay(
        lowest: given["min_lr"]?.double ?? 1e-5, highest: given["max_lr"]?.double ?? 1e-4,
        warmup: given["warmup_steps"]?.integer ?? 1000)
      let rates = try #require(entry["rates"]?.array).compactMap(\.array)
      #expect(rates.count > 5)
      for rate in rates {
        let (step, expected) = (try #require(rate[0].integer), try #require(rate[1].double))
        let value = schedule.rate(step: step - 1, of: given["max_steps"]?.integer ?? 1_000_000)
        #expect(abs(value - expected) <= 1e-12 * expected, "\(given) at step \(step)")
      }
    }
  }

  /// Adam of the reference, written down: no decay, the root's addend outside of the root.
  @Test func adamHasNoDecay() throws {
    var parameters = ParameterSet(["a": Tensor([1, -2, 3])])
    var optimizer = AdamW(.adam, for: parameters, decays: { _ in true })
    var (value, first, second): ([Double], [Double], [Double]) = (
      [1, -2, 3], [0, 0, 0], [0, 0, 0]
    )
    for step in 1...5 {
      let gradient = [0.5, -1e-7, Double(step)]
      optimizer.step(
        &parameters, gradients: [Tensor(gradient.map { Float($0) })], scale: 1, rate: 0.01)
      for index in 0..<3 {
        first[index] = 0.9 * first[index] + 0.1 * gradient[index]
        second[index] = 0.999 * second[index] + 0.001 * gradient[index] * gradient[index]
        let mean = first[index] / (1 - pow(0.9, Double(step)))
        let root = (second[index] / (1 - pow(0.999, Double(step)))).squareRoot()
        value[index] -= 0.01 * mean / (root + 1e-8)
      }
      for (a, b) in zip(parameters.values[0].values, value) {
        #expect(abs(Double(a) - b) < 1e-6)
      }
    }
  }
}
