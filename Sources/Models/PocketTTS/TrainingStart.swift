import Base
import ModelInterface
import NeuralNetworks
import Safetensors
import Tensors

/// What a language model begins to learn as.
struct TrainingStart {
  /// Its model: configuration, codec and tokenizer; the language model's weights are apart.
  let model: PocketTTSModel
  /// The language model's tensors, without `flow_lm.`.
  private(set) var tensors: LanguageModelTensors
  /// Where they come from, for messages.
  private(set) var subject: String
  /// What it learns.
  private(set) var goal = LearningGoal.speech
  /// The temperature that a drifting head's kernel begins with.
  let kernelTemperature: Float
  /// The digest of the weights that it learns from; nil when it learns from recordings.
  private(set) var teacherDigest: SHA256Digest?

  init(_ source: PocketTTSModel, _ task: TrainingTask) throws {
    var model = try source.setting(task.overrides)
    let ownType = model.configuration.flowLM.flow.type
    if let name = task.objective {
      guard let type = Configuration.FlowType(rawValue: name) else {
        throw Failure(
          .usage, problem: "'\(name)' is no kind of flow head",
          remedy: "use one of "
            + Configuration.FlowType.allCases.map(\.rawValue).joined(separator: ", "))
      }
      model.changeHead(to: type)
    }
    let type = model.configuration.flowLM.flow.type
    self.model = model
    kernelTemperature = task.kernelTemperature
    subject = model.path
    let fresh = InitialWeights(seed: task.seed, configuration: model.configuration)
    switch task.distillation {
    case .none:
      tensors = try Self.tensors(model, task, fresh, newHead: type != ownType)
      if !task.isFresh { subject = try model.files.flowLM().subject }
    case .backbone(let options) where options.teacher == nil:
      tensors = try Self.tensors(model, task, fresh, newHead: type != ownType)
      try learnBackbone(options, source)
    case .backbone(let options):
      // All that can be seeded comes from the teacher.
      tensors = try fresh.languageModel()
      try learnBackbone(options, source)
    case .head(let options):
      tensors = [:]
      try learnHead(options, source, fresh)
    }
  }

  private static func tensors(
    _ model: PocketTTSModel, _ task: TrainingTask, _ fresh: InitialWeights, newHead: Bool
  ) throws -> LanguageModelTensors {
    guard !task.isFresh else { return try fresh.languageModel() }
    var tensors = try model.languageModelTensors()
    for (isNew, prefix) in [(newHead, "flow_net."), (task.resetsText, "conditioner.embed.")]
    where isNew {
      tensors = tensors.filter { !$0.key.hasPrefix(prefix) }
      tensors.merge(try fresh.languageModel(prefix)) { $1 }
    }
    return tensors
  }

  // MARK: Distillation

  /// A model, or what a checkpoint of the official trainer makes of the own one.
  private static func teacher(_ path: String, _ own: PocketTTSModel) throws -> PocketTTSModel {
    path.hasSuffix(".pt")
      ? own.with(try TrainingCheckpoint(path: path)) : try PocketTTSModel(path: path)
  }

  private mutating func learnBackbone(
    _ options: BackboneDistillation, _ own: PocketTTSModel
  ) throws {
    var teacher = tensors
    var configuration = model.configuration
    if let path = options.teacher {
      let source = try Self.teacher(path, own).setting(options.teacherOverrides)
      configuration = source.configuration
      teacher = try source.languageModelTensors()
      let shrinking = try Shrinking(to: model.configuration)
      var seeds = try shrinking(teacher, subject: path)
      if let student = options.student {
        let others = try PocketTTSModel.languageModelTensors(at: student).filter {
          !$0.key.hasPrefix("flow_net.") && !$0.key.hasPrefix("out_eos.")
        }
        let layers = Shrinking.layerCount(others.keys)
        guard layers >= shrinking.layers else {
          throw Failure.configuration(
            student, "it has \(layers) layers, the student \(shrinking.layers)",
            "choose a model of as many layers, or a smaller student "
              + "(--set flow_lm.transformer.num_layers=…)")
        }
        seeds.merge(try shrinking(others, cutsDepth: false, subject: student)) { $1 }
      }
      tensors.merge(seeds) { $1 }
    } else if options.student != nil || !options.teacherOverrides.isEmpty {
      throw Failure(
        .usage, problem: "a frozen copy of the student as the teacher has nothing to choose",
        remedy: "name a teacher too")
    }
    guard configuration.conditionWidth == model.configuration.conditionWidth else {
      throw Failure.configuration(
        options.teacher ?? model.path,
        "its heads read \(configuration.conditionWidth) channels, the student's "
          + "\(model.configuration.conditionWidth)",
        "give both the same z_dim (--set flow_lm.z_dim=…)")
    }
    teacherDigest = Tensors.digest(of: teacher.map { ($0.key, $0.value) })
    goal = .backbone(
      try FlowLM(Weights(teacher, subject: options.teacher ?? model.path), configuration),
      guidance: options.guidance)
  }

  private mutating func learnHead(
    _ options: HeadDistillation, _ own: PocketTTSModel, _ fresh: InitialWeights
  ) throws {
    let source = try options.teacher.map { try Self.teacher($0, own) } ?? own
    let teacher = try source.languageModelTensors()
    let head: LanguageModelTensors
    if let path = options.head {
      head = try PocketTTSModel.languageModelTensors(at: path)
      // Refuses one of another shape by its own name.
      _ = try FlowHead(Weights(head, subject: path)["flow_net"], model.configuration)
    } else {
      head = try fresh.languageModel("flow_net.")
    }
    tensors = teacher.filter { !$0.key.hasPrefix("flow_net.") }
    tensors.merge(head.filter { $0.key.hasPrefix("flow_net.") }) { $1 }
    guard source.configuration.conditionWidth == model.configuration.conditionWidth,
      source.configuration.latentWidth == model.configuration.latentWidth
    else {
      throw Failure.configuration(
        source.path, "its head reads or makes another number of channels",
        "choose a teacher of the same widths")
    }
    guard !options.isDrifting || model.configuration.flowLM.flow.type == .drifting else {
      throw Failure(
        .usage,
        problem: "a head of type \(model.configuration.flowLM.flow.type.rawValue) cannot "
          + "learn by drifting", remedy: "add --objective drifting, or use --head-loss mse")
    }
    teacherDigest = Tensors.digest(of: teacher.map { ($0.key, $0.value) })
    goal = .head(
      try FlowHead(
        Weights(teacher, subject: source.path)["flow_net"], source.configuration),
      options)
  }
}

/// What a model learns.
enum LearningGoal {
  /// To speak like the recordings.
  case speech
  /// To make what a teacher's backbone makes, beyond what it makes without text and voice.
  case backbone(FlowLM, guidance: Float)
  /// To make of noise what a frozen head makes.
  case head(FlowHead, HeadDistillation)
}

extension PocketTTSModel {
  /// The language model's tensors, without `flow_lm.`.
  func languageModelTensors() throws -> LanguageModelTensors {
    Dictionary(uniqueKeysWithValues: try files.flowLM().all().map { ($0.name, $0.tensor) })
  }

  /// The same of a model directory, of a file of weights or of a checkpoint of the official trainer.
  static func languageModelTensors(at path: String) throws -> LanguageModelTensors {
    if path.hasSuffix(".pt") {
      return try TrainingCheckpoint(path: path).tensors(under: "flow_lm.")
    }
    guard path.hasSuffix(".safetensors"), fileExists(path) else {
      return try PocketTTSModel(path: path).languageModelTensors()
    }
    let file = try SafetensorsFile(path: path)
    return Dictionary(
      uniqueKeysWithValues: try file.names.filter { $0.hasPrefix("flow_lm.") }.map {
        (String($0.dropFirst(8)), try Tensor(file: file, name: $0))
      })
  }
}
