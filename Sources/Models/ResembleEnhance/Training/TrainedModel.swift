import Base
import ModelInterface
import NeuralNetworks
import Safetensors
import Tensors

/// A model while it is trained: all its tensors as they were at the beginning, by the package's names, and which
/// of them change.
struct TrainedModel: Sendable {
  let stage: EnhancementStage
  let hyperParameters: HyperParameters
  /// Those of the discriminators among them, with a prefix.
  private(set) var tensors: [String: Tensor]
  /// Where the configuration is from, for messages.
  let subject: String

  /// In front of the names of discriminators.
  static let discriminators = "discriminator."
  /// The file of the discriminators beside a model.
  private static let discriminatorFile = "/discriminator.safetensors"

  /// - Throws: `configuration`, `noInput`, `usage` where the task does not suit.
  init(_ task: EnhancementTask) throws {
    stage = task.stage
    let part: Part = task.stage == .denoiser ? .denoiser : .enhancer
    let start = try task.start.map { try Self.folder($0, part, option: "--start") }
    subject = task.configuration ?? start?.configuration ?? "the configuration"
    var specification =
      try task.configuration.map {
        try ModelSpecification($0, part: part)
      } ?? ModelSpecification(start?.parameters ?? HyperParameters(part: part))
    for change in task.changes {
      try specification.parameters.set(
        change.key, yaml: change.value, source: "--set \(change.key)=\(change.value)")
    }
    if part == .enhancer { try specification.setMode(of: task, subject) }
    hyperParameters = specification.parameters

    let predecessor =
      try task.stage == .flow
      ? Self.predecessor(task, hyperParameters) : (autoencoder: nil, denoiser: nil)
    if let start {
      tensors = try Self.tensors(of: start)
    } else {
      // Sizes that no hyper-parameter tells come with the weights.
      tensors =
        InitialWeights(
          seed: task.seed, parameters: hyperParameters,
          shapes: try predecessor.autoencoder.map { try Self.shapes(of: $0) }
            ?? specification.shapes(subject)
        ).tensors
    }
    if start == nil, let folder = predecessor.autoencoder {
      let learnt = try Self.tensors(of: folder)
      tensors.merge(
        learnt.filter { !$0.key.hasPrefix("lcfm.cfm.") && !$0.key.hasPrefix("denoiser.") }
      ) { $1 }
    }
    if let folder = predecessor.denoiser {
      let learnt = try Self.tensors(of: folder)
      let names = learnt.keys.filter { $0.hasPrefix("net.") || $0.hasPrefix("mel_fn.") }
      // A denoiser's sizes may be others than the new one's: it replaces it whole.
      tensors = tensors.filter { !$0.key.hasPrefix("denoiser.") }
      for name in names { tensors["denoiser." + name] = learnt[name] }
    }
    try StateLayout(part, names: tensors.keys)
      .check(tensors.mapValues(\.shape), hyperParameters, file: subject)
    if task.stage == .autoencoder { try addDiscriminators(task, start, specification.sizes) }
  }

  private mutating func addDiscriminators(
    _ task: EnhancementTask, _ start: ModelFolder?, _ sizes: ModelSizes
  ) throws {
    let file = start.map { $0.path + Self.discriminatorFile }
    let found: [String: Tensor]
    if let file, fileExists(file) {
      found = try Self.tensors(of: SafetensorsFile(path: file))
    } else {
      found =
        InitialWeights(
          seed: task.seed, parameters: hyperParameters,
          shapes: Discriminators.Sizes(divisor: sizes.discriminatorDivisor).shapes
        ).tensors
    }
    for (name, tensor) in found { tensors[Self.discriminators + name] = tensor }
  }

  // MARK: Model directories

  private static func folder(_ path: String, _ part: Part, option: String) throws -> ModelFolder {
    guard ModelFolder.isOne(path) else {
      throw Failure(
        .noInput, subject: path, problem: "\(option): not a model of Resemble-Enhance",
        remedy: "make one of a run directory of the package with tts-model convert")
    }
    let folder = try ModelFolder(path: path)
    guard folder.parameters.part == part else {
      throw Failure.configuration(
        path, "\(option): it is the model of \(folder.parameters.part.withArticle)",
        "give one of \(part.withArticle)")
    }
    return folder
  }

  /// The trainings that the flow's goes on from.
  private static func predecessor(
    _ task: EnhancementTask, _ parameters: HyperParameters
  ) throws -> (autoencoder: ModelFolder?, denoiser: ModelFolder?) {
    func path(_ key: String) -> String? {
      if case .text(let path) = parameters[key] { path } else { nil }
    }
    guard task.start == nil || task.autoencoder == nil else {
      throw Failure(
        .usage, problem: "the model of --start has an autoencoder already",
        remedy: "leave out --autoencoder")
    }
    let first = task.autoencoder ?? (task.start == nil ? path("enhancer_stage1_run_dir") : nil)
    let second = task.denoiser ?? (task.start == nil ? path("denoiser_run_dir") : nil)
    guard first != nil || task.start != nil else {
      throw Failure(
        .usage, problem: "the flow is learned in the latents of an autoencoder",
        remedy: "name the run of --stage enhancer1 with --autoencoder")
    }
    return (
      try first.map { try folder($0, .enhancer, option: "--autoencoder") },
      try second.map { try folder($0, .denoiser, option: "--denoiser") }
    )
  }

  private static func shapes(of folder: ModelFolder) throws -> [String: [Int]] {
    let file = try folder.openWeights()
    return Dictionary(uniqueKeysWithValues: file.names.map { ($0, file.shape(of: $0) ?? []) })
  }

  private static func tensors(of folder: ModelFolder) throws -> [String: Tensor] {
    try tensors(of: folder.openWeights())
  }

  private static func tensors(of file: SafetensorsFile) throws -> [String: Tensor] {
    try Dictionary(uniqueKeysWithValues: file.names.map { ($0, try Tensor(file: file, name: $0)) })
  }

  /// Writes a model directory, and the discriminators beside it.
  func write(_ tensors: [String: Tensor], to directory: String) throws {
    try createDirectory(directory)
    let folder = ModelFolder(path: directory, parameters: hyperParameters)
    try AtomicFile.write(folder.yaml, to: folder.configuration)
    func write(_ tensors: [(name: String, tensor: Tensor)], to path: String) throws {
      try writeSafetensors(
        tensors.map { (name: $0.name, type: .f32, shape: $0.tensor.shape) }, metadata: [:],
        to: path
      ) { name, _, write in
        try tensors.first { $0.name == name }?.tensor.withValues {
          try write(UnsafeRawBufferPointer($0))
        }
      }
    }
    let judges = tensors.filter { $0.key.hasPrefix(Self.discriminators) }
    if !judges.isEmpty {
      try write(
        judges.map { (String($0.key.dropFirst(Self.discriminators.count)), $0.value) },
        to: directory + Self.discriminatorFile)
    }
    try write(
      tensors.filter { judges[$0.key] == nil }.map { ($0.key, $0.value) }, to: folder.weights)
  }

  // MARK: What changes

  /// Whether a tensor is learned.
  func trains(_ name: String) -> Bool {
    guard !StateLayout.isConstant(name), !changes(name) else { return false }
    switch stage {
    case .denoiser: return name.hasPrefix("net.")
    case .autoencoder:
      return ["lcfm.ae.", "vocoder.", Self.discriminators].contains(where: name.hasPrefix)
    case .flow: return ["lcfm.cfm.", "denoiser.net."].contains(where: name.hasPrefix)
    }
  }

  private static let statistics = [AutoencoderStage.normalizer, AutoencoderStage.estimator]

  /// Whether a tensor is not learned, but follows what is heard.
  func changes(_ name: String) -> Bool {
    stage == .autoencoder && Self.statistics.contains(where: name.hasPrefix)
  }

  /// Statistics among buffers.
  func statistics(_ buffers: [String: Tensor]) -> [String: RunningStatistics] {
    Dictionary(
      uniqueKeysWithValues: Self.statistics.compactMap { prefix in
        guard let mean = buffers[prefix + "running_mean_unsafe"],
          let variance = buffers[prefix + "running_var_unsafe"]
        else { return nil }
        return (prefix, RunningStatistics(mean: mean.scalar, variance: variance.scalar))
      })
  }

  /// The same as buffers.
  func buffers(_ statistics: [String: RunningStatistics]) -> [String: Tensor] {
    var buffers: [String: Tensor] = [:]
    for (prefix, values) in statistics {
      buffers[prefix + "running_mean_unsafe"] = Tensor([values.mean], shape: [])
      buffers[prefix + "running_var_unsafe"] = Tensor([values.variance], shape: [])
    }
    return buffers
  }
}

extension ModelSpecification {
  /// What the autoencoder is used for follows from the training; a configuration may say so too.
  fileprivate mutating func setMode(of task: EnhancementTask, _ subject: String) throws {
    let mode = task.stage == .flow ? "cfm" : "ae"
    let isGiven = task.configuration != nil && parameters.values.contains { $0.key == Self.mode }
    guard !isGiven || parameters[Self.mode] == .text(mode) else {
      throw Failure.configuration(
        subject,
        "'\(Self.mode)' is \(parameters.text(Self.mode)), --stage \(task.stage.rawValue) wants \(mode)",
        "give the configuration of that stage")
    }
    parameters.set(Self.mode, .text(mode))
  }

  private static let mode = "lcfm_training_mode"
}
