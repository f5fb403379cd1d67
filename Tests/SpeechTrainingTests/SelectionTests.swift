import Base
import ModelInterface
import Safetensors
import Tensors
import TestSupport
import Testing

@testable import SpeechTraining
@testable import Training

/// What trains and what does not.
@Suite struct SelectionTests {
  let folder: ScratchFolder

  init() throws {
    folder = try ScratchFolder()
    try writeShard(folder.file("train.ttsr"), ids: 0..<20)
  }

  private func makeRun(
    _ name: String, _ options: TrainingOptions, validates: Bool = false
  ) throws -> TrainingRun {
    let corpus = try Corpus(
      [folder.file("train.ttsr")], for: TinyTrainable(), maxSeconds: 30, name: "train",
      onRecord: { _ in })
    return try TrainingRun(
      directory: folder.file(name), trainable: TinyTrainable(), training: corpus,
      validation: validates ? corpus : nil, options: options, toolVersion: 1)
  }

  private func train(
    _ name: String, _ selection: ParameterSelection, steps: Int = 6, resumes: Bool = false,
    observer: TrainingObserver = observer()
  ) throws {
    var options = TrainingOptions()
    options.run.steps = steps
    options.batch = 4
    options.rate = LearningRate(highest: 0.05, warmup: 1)
    options.run.averageDecay = 0.5
    options.run.checkpointEvery = 2
    options.selection = selection
    let run = try makeRun(name, options)
    _ = try run.train(resumes: resumes, observer: observer)
  }

  /// The names of the tensors that a run changed.
  private func changed(_ name: String) throws -> Set<String> {
    let file = try SafetensorsFile(path: folder.file(name + "/model.safetensors"))
    return try Set(
      TinyTrainable().parameters.filter { try file.floats($0.key) != $0.value.values }.keys)
  }

  @Test(arguments: [
    (ParameterSelection(), ["bias", "table", "weight"]),
    (ParameterSelection(.head), ["bias"]),
    (ParameterSelection(.text), ["table"]),
    (ParameterSelection(freeze: ["*a*"]), ["weight"]),
    (ParameterSelection(.head, unfreeze: ["w?ight"]), ["bias", "weight"]),
    (ParameterSelection(freeze: ["*"], unfreeze: ["table"]), ["table"]),
  ])
  func onlyWhatIsChosenChanges(_ selection: ParameterSelection, _ names: [String]) throws {
    try train("run", selection)
    #expect(try changed("run") == Set(names))
    // Neither the values nor the moments of the rest are kept.
    let file = try SafetensorsFile(
      path: folder.file("run/checkpoints/00000006.safetensors"))
    let kept = Set(file.names.filter { $0.hasPrefix("first.") }.map { $0.dropFirst(6) })
    #expect(kept.subtracting(["unused"]) == Set(names.map { $0[...] }))
  }

  @Test func partsOfAModelContinueExactly() throws {
    let selection = ParameterSelection(.head, unfreeze: ["table"])
    try train("whole", selection)
    #expect(throws: Failure.self) {
      try train("cut", selection, observer: observer(stoppingAt: 3))
    }
    try train("cut", selection, resumes: true)
    let model = "/model.safetensors"
    #expect(try folder.read("cut" + model) == folder.read("whole" + model))
    do {
      try train("whole", ParameterSelection(.head), steps: 7, resumes: true)
      Issue.record("another selection was taken")
    } catch let failure as Failure {
      #expect(failure.kind == .configuration && failure.problem.contains("--unfreeze"))
    }
  }

  @Test func whatChoosesNothingIsRefused() throws {
    for selection in [
      ParameterSelection(freeze: ["*"]), ParameterSelection(freeze: ["nobody"]),
      ParameterSelection(unfreeze: ["nobody"]), ParameterSelection(.last(2)),
    ] {
      do {
        _ = try selection.names(of: TinyTrainable())
        Issue.record("\(selection)")
      } catch let failure as Failure { #expect(failure.kind == .usage) }
    }
  }

  @Test func tuningsAreReadAsTheyAreWritten() {
    for tuning in [Tuning.full, .body, .head, .last(3), .text, .lora] {
      #expect(Tuning(tuning.description) == tuning)
    }
    for text in ["", "last", "last:", "last:0", "last:-1", "last:x", "Full", "all"] {
      #expect(Tuning(text) == nil)
    }
  }

  @Test func aRehearsalWritesNothing() throws {
    var options = TrainingOptions()
    options.batch = 4
    options.selection = ParameterSelection(.text)
    let run = try makeRun("never", options, validates: true)
    let result = try run.rehearse(steps: 2, observer: observer())
    #expect(result.parameters == 30 && result.seconds > 0)
    #expect(!folder.has("never"))
  }
}
