import Base
import ModelInterface
import NeuralNetworks
import Pickles
import Safetensors
import Tensors
import TestSupport
import Testing

@testable import PocketTTS

/// Checkpoints of the official trainer where weights are named.
@Suite(.enabled(if: hasFixture("PocketTTS/lsd_train/config.yaml"))) struct CheckpointTests {
  private let folder: ScratchFolder
  private let model: PocketTTSModel

  init() throws {
    folder = try ScratchFolder()
    model = try PocketTTSModel(path: fixture("PocketTTS/lsd_train"))
    try model.writeCheckpoint(to: folder.file("x.pt"))
  }

  @Test func startsAndTeachersMayBeCheckpoints() throws {
    let own = try model.languageModelTensors()
    let read = try PocketTTSModel.languageModelTensors(at: folder.file("x.pt"))
    #expect(read.keys.sorted() == own.keys.sorted())
    for (name, tensor) in own { #expect(read[name]?.values == tensor.values, "\(name)") }
    var head = HeadDistillation()
    head.teacher = folder.file("x.pt")
    var task = TrainingTask()
    task.distillation = .head(head)
    let start = try TrainingStart(model, task)
    head.teacher = nil
    task.distillation = .head(head)
    #expect(try start.teacherDigest == TrainingStart(model, task).teacherDigest)
  }

  @Test func aBackboneMayLearnFromOne() throws {
    var backbone = BackboneDistillation()
    var task = TrainingTask()
    task.overrides = [TrainingTask.Override(key: "flow_lm.transformer.num_layers", value: "1")]
    func start(teacher: String) throws -> TrainingStart {
      backbone.teacher = teacher
      task.distillation = .backbone(backbone)
      return try TrainingStart(model, task)
    }
    let own = try start(teacher: model.path)
    let other = try start(teacher: folder.file("x.pt"))
    #expect(own.teacherDigest == other.teacherDigest)
    #expect(own.tensors.mapValues(\.values) == other.tensors.mapValues(\.values))
    backbone.student = folder.file("x.pt")
    #expect(try start(teacher: model.path).tensors.count == own.tensors.count)
  }

  /// `weights_path` may name one, as the recipes of the official trainer have it.
  @Test func aConfigurationMayNameOne() throws {
    let named = try model.setting([
      TrainingTask.Override(key: "weights_path", value: folder.file("x.pt"))
    ])
    let own = try model.files.flowLM().all()
    let read = try named.files.flowLM().all()
    #expect(read.map(\.name) == own.map(\.name))
    #expect(zip(read, own).allSatisfy { $0.tensor.values == $1.tensor.values })
    #expect(try named.files.metadata().isEmpty)
    // The codec is not in it.
    #expect(throws: Failure.self) { try named.codec(precision: .float32) }
  }
}
