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
  /// What it learns.
  private(set) var goal = LearningGoal.speech
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
    self.model = model
    let fresh = InitialWeights(seed: task.seed, configuration: model.configuration)
    var fromHead = task.isFresh
    if task.isFresh {
      tensors = try fresh.languageModel()
    } else {
      tensors = try model.languageModelTensors()
      fromHead = model.configuration.flowLM.flow.type != ownType
    }
    if task.resetsText, !task.isFresh {
      try replace(try fresh.languageModel()) { $0.hasPrefix("conditioner.embed.") }
    }
    switch task.distillation {
    case .none: if fromHead, !task.isFresh { try resetHead(fresh) }
    case .backbone(let options):
      if fromHead, !task.isFresh { try resetHead(fresh) }
      try learnBackbone(options)
    case .head(let options): try learnHead(options, source, fresh)
    }
  }

  private mutating func replace(
    _ others: LanguageModelTensors, where isWanted: (String) -> Bool
  ) throws {
    tensors = tensors.filter { !isWanted($0.key) }
    tensors.merge(others.filter { isWanted($0.key) }) { $1 }
  }

  private mutating func resetHead(_ fresh: InitialWeights) throws {
    try replace(try fresh.languageModel()) { $0.hasPrefix("flow_net.") }
  }

  // MARK: Distillation

  private mutating func learnBackbone(_ options: BackboneDistillation) throws {
    var teacher = tensors
    var configuration = model.configuration
    if let path = options.teacher {
      let source = try PocketTTSModel(path: path).setting(options.teacherOverrides)
      configuration = source.configuration
      teacher = try source.languageModelTensors()
      let shrinking = try Shrinking(to: model.configuration)
      var seeds = try shrinking(teacher, subject: path)
      if let student = options.student {
        let others = try PocketTTSModel.languageModelTensors(at: student).filter {
          !$0.key.hasPrefix("flow_net.") && !$0.key.hasPrefix("out_eos.")
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
    teacherDigest = ModelInterface.digest(of: teacher.map { ($0.key, $0.value) })
    goal = .backbone(
      try FlowLM(Weights(teacher, subject: options.teacher ?? model.path), configuration),
      guidance: options.guidance)
  }

  private mutating func learnHead(
    _ options: HeadDistillation, _ own: PocketTTSModel, _ fresh: InitialWeights
  ) throws {
    let source = try options.teacher.map { try PocketTTSModel(path: $0) } ?? own
    let teacher = try source.languageModelTensors()
    tensors = teacher.filter { !$0.key.hasPrefix("flow_net.") }
    if let path = options.head {
      try replace(try PocketTTSModel.languageModelTensors(at: path)) { $0.hasPrefix("flow_net.") }
    } else {
      try resetHead(fresh)
    }
    guard source.configuration.conditionWidth == model.configuration.conditionWidth,
      source.configuration.latentWidth == model.configuration.latentWidth
    else {
      throw Failure.configuration(
        source.path, "its head reads or makes another number of channels",
        "choose a teacher of the same widths")
    }
    guard !options.isDrifting || model.configuration.flowLM.flow.type == .drifting else {
      throw Failure(
        .usage, problem: "a head of type \(model.configuration.flowLM.flow.type.rawValue) cannot "
          + "learn by drifting", remedy: "add --objective drifting, or use --head-loss mse")
    }
    teacherDigest = ModelInterface.digest(of: teacher.map { ($0.key, $0.value) })
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

  /// The same of a model directory or of a file of weights.
  static func languageModelTensors(at path: String) throws -> LanguageModelTensors {
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
