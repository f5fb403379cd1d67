import Base
import Glibc
import ModelInterface
import NeuralNetworks
import Processes
import Tensors
import Training

/// To make recordings better: one of the three trainings of the package, on folders of recordings.
struct EnhancementLesson: Lesson {
  let task: EnhancementTask
  let model: TrainedModel
  let corpus: EnhancementCorpus
  let parameters: [String: Tensor]
  let buffers: [String: Tensor]
  let facts: LessonFacts
  let steps: Int?
  private let stage: Stage

  /// The losses of a stage, with all that does not change.
  private enum Stage {
    case denoiser(DenoiserStage)
    case autoencoder(AutoencoderStage, discriminatorsBegin: Int?)
    case flow(FlowStage)
  }

  /// Reads the start weights and lists the folders.
  ///
  /// - Parameter warn: gets a line about what is left out.
  /// - Throws: `configuration`, `noInput`, `badInput`, `usage`.
  init(_ task: EnhancementTask, warn: @escaping @Sendable (String) -> Void) throws {
    self.task = task
    let model = try TrainedModel(task)
    self.model = model
    try model.hyperParameters.requireComputable(file: model.subject)
    steps = try Self.steps(model)
    var options = try CorpusOptions(
      model.hyperParameters, stage: task.stage, file: model.subject)
    options.foreground = task.foreground ?? options.foreground
    options.background = task.background ?? options.background
    options.rooms = task.rooms ?? options.rooms
    options.longestValidation = Self.longestValidation
    options.followsPackage = task.followsPackage
    corpus = try EnhancementCorpus(options, warn: warn)
    parameters = model.tensors.filter { model.trains($0.key) }
    buffers = model.tensors.filter { model.changes($0.key) }
    stage = try Self.stage(model)
    facts = try Self.facts(task, model, corpus)
  }

  /// Samples of a recording that are validated with: 10 seconds.
  private static let longestValidation = 441_000

  /// How many steps the configuration asks for, where it names them.
  ///
  /// - Throws: `configuration` for hyper-parameters of steps that no training can have.
  private static func steps(_ model: TrainedModel) throws -> Int? {
    let (values, file) = (model.hyperParameters, model.subject)
    let highest = try values.number("max_lr", in: 1e-12...10, file: file)
    _ = try values.number("min_lr", in: 0...highest, file: file)
    _ = try values.number("warmup_steps", in: 0...1e9, file: file)
    _ = try values.number("gradient_clipping", in: 0...1e9, file: file)
    guard values.values.contains(where: { $0.key == "max_steps" }) else { return nil }
    return Int(try values.number("max_steps", in: 1...1e9, file: file))
  }

  private static func stage(_ model: TrainedModel) throws -> Stage {
    let parameters = model.hyperParameters
    let constants = Weights(model.tensors, subject: model.subject, packing: .float32)
    let hop = parameters.whole("hop_size")
    let shapes = model.tensors.mapValues(\.shape)
    guard model.stage != .denoiser else {
      return .denoiser(DenoiserStage(sizes: DenoiserSizes(shapes), hop: hop))
    }
    let sizes = EnhancerSizes(shapes)
    let mel = try LogMel(constants["mel_fn"], shapes, parameters)
    guard model.stage == .flow else {
      let judge = TrainedModel.discriminators
      let own = shapes.filter { $0.key.hasPrefix(judge) }
        .map { (String($0.key.dropFirst(judge.count)), $0.value) }
      let begin: Int? =
        if case .whole(let step) = parameters["gan_training_start_step"] { step } else { nil }
      return .autoencoder(
        AutoencoderStage(
          sizes: sizes, mel: mel,
          discriminatorSizes: .init(Dictionary(uniqueKeysWithValues: own))),
        discriminatorsBegin: begin)
    }
    return .flow(
      FlowStage(
        sizes: sizes, denoiserSizes: DenoiserSizes(shapes, prefix: "denoiser."), mel: mel,
        normalizer: try MelNormalizer(constants["normalizer"]),
        autoencoder: try Autoencoder(constants["lcfm"]["ae"], sizes),
        times: FlowTimes(divisor: parameters.whole("cfm_time_mapping_divisor")),
        scale: Float(parameters.number("lcfm_z_scale")),
        hasFixedPrior: parameters["force_gaussian_prior"] == .flag(true)))
  }

  /// Everything that a continued run must have again.
  private static func facts(
    _ task: EnhancementTask, _ model: TrainedModel, _ corpus: EnhancementCorpus
  ) throws -> LessonFacts {
    let corpusDigest = try corpus.digest().description
    var options = model.hyperParameters.recorded
    options["stage"] = task.stage.rawValue
    options["precision"] = task.usesBFloat16 ? "bf16" : "f32"
    options["as-package"] = "\(task.followsPackage)"
    return LessonFacts(
      options: options,
      models: ["start": digest(of: model.tensors.map { ($0.key, $0.value) }).description],
      buffers: digest(
        of: model.tensors.filter { model.changes($0.key) }.map { ($0.key, $0.value) }),
      data: [
        "fg": ["digest": .string(corpusDigest), "files": .integer(Int64(corpus.count))]
      ], digests: ["data": corpusDigest])
  }

  /// Plain Adam on each group, with the package's schedule.
  var groups: [ParameterGroup] {
    let values = model.hyperParameters
    var settings = Optimizer.Settings()
    settings.adamW = .adam
    let rate = LearningRate.warmupDecay(
      lowest: values.number("min_lr"), highest: values.number("max_lr"),
      warmup: values.whole("warmup_steps"))
    let names = Set(parameters.keys)
    let judges = names.filter { $0.hasPrefix(TrainedModel.discriminators) }
    let groups = [("model", names.subtracting(judges)), ("discriminator", judges)]
    return groups.filter { !$0.1.isEmpty }.map { name, names in
      ParameterGroup(
        name, names, rate: rate, clip: values.number("gradient_clipping"), optimizer: settings)
    }
  }

  // MARK: Steps

  func microBatch(_ number: Int) throws -> any MicroBatch {
    let batch = try corpus.batch(number: number, seed: task.seed, isParallel: true)
    return EnhancementMicroBatch(lesson: self, number: number, batch: batch)
  }

  func changesBuffers(step: Int) -> Bool { task.stage == .autoencoder }

  fileprivate func learn(
    _ micro: EnhancementMicroBatch, _ input: LearningInput
  ) throws -> LearningReport {
    var random = RandomNumbers(seed: task.seed, name: "noise \(micro.number)")
    var (metrics, buffers) = ([String: Double](), input.buffers)
    let judges = input.parameters.names.filter { $0.hasPrefix(TrainedModel.discriminators) }
    let judged = isJudged(input.step)
    let learnt = judged ? nil : Set(input.parameters.names).subtracting(judges)
    let gradients = try ProductPrecision.inBFloat16(task.usesBFloat16) {
      try input.gradients(for: learnt) { variables in
        let losses = try self.losses(
          micro.batch, model.tensors.merging(variables) { $1 }, buffers: input.buffers,
          judged: judged, &random)
        buffers.merge(model.buffers(losses.statistics)) { $1 }
        metrics = losses.metrics
        return (losses.terms + losses.discriminatorTerms).total
      }
    }
    return LearningReport(gradients: gradients, metrics: metrics, buffers: buffers)
  }

  /// Whether discriminators take part: in the first step too, so that what is wrong with them shows at once.
  private func isJudged(_ step: Int) -> Bool {
    guard case .autoencoder(_, let begin?) = stage else { return false }
    return step == 1 || step >= begin
  }

  private func losses(
    _ batch: EnhancementBatch, _ tensors: [String: Tensor], buffers: [String: Tensor],
    judged: Bool, _ random: inout RandomNumbers
  ) throws -> StageLosses {
    let weights = Weights(tensors, subject: model.subject)
    let rows = batch.input.rows
    switch stage {
    case .denoiser(let stage):
      return try stage.losses(weights, mix: batch.input, target: batch.target)
    case .autoencoder(let stage, _):
      let frames = batch.input.columns / stage.mel.hop + Vocoder.extraFrames
      let judge = weights[String(TrainedModel.discriminators.dropLast())]
      return try stage.losses(
        weights, discriminators: judged ? (judge, judge.detached) : nil, foreground: batch.target,
        noise: random.normal([rows, frames, Vocoder.noiseWidth]),
        statistics: model.statistics(buffers))
    case .flow(let stage):
      let shape = [rows, batch.input.columns / stage.mel.hop, stage.sizes.latents]
      let draws = FlowStage.Draws(
        denoising: (0..<rows).map { _ in random.beta(0.2) },
        temperature: (0..<rows).map { _ in random.uniform() },
        place: (0..<rows).map { _ in random.uniform() }, prior: random.normal(shape),
        jitter: random.normal(shape))
      return try stage.losses(
        weights, mix: batch.input, clean: batch.target, distorted: batch.denoised ?? batch.target,
        draws)
    }
  }

  // MARK: Validation

  var validationWeights: [Double] {
    [Double](repeating: 1, count: EnhancementCorpus.validationCount)
  }

  /// The losses of a recording that was kept from training; of a denoiser also how much it gains, in dB.
  func validate(
    _ number: Int, parameters: [String: Tensor], buffers: [String: Tensor]
  ) throws -> [String: Double] {
    let batch = try corpus.validation(number)
    var random = RandomNumbers(seed: 0, name: "validation \(number)")
    let tensors = model.tensors.merging(parameters) { $1 }.merging(buffers) { $1 }
    var metrics = try losses(batch, tensors, buffers: buffers, judged: false, &random).metrics
    if case .denoiser(let stage) = stage {
      let denoiser = try Denoiser(
        Weights(tensors, subject: model.subject, packing: .float32), stage.sizes, hop: stage.hop)
      let target = batch.target.values
      let found = scaleInvariantSDR(denoiser(batch.input).values, target)
      metrics["si_sdr"] = found
      metrics["si_sdr_gain"] = found - scaleInvariantSDR(batch.input.values, target)
    }
    return metrics
  }

  // MARK: What comes of it

  /// What goes in, what comes out, and what should.
  func makeSamples(
    _ samples: SampleCollection, parameters: [String: Tensor], buffers: [String: Tensor]
  ) throws {
    let tensors = model.tensors.merging(parameters) { $1 }.merging(buffers) { $1 }
    let enhancer = try Enhancer(
      tensors, model.hyperParameters, subject: model.subject)
    for number in 0..<min(task.samples, EnhancementCorpus.validationCount) {
      let batch = try corpus.validation(number)
      func add(_ form: String, _ make: () throws -> [Float]) throws {
        try samples.checkInterrupted()
        try samples.add("\(number + 1)-\(form)") {
          Sound(
            samples: try make(), rate: recordingRate,
            facts: ["recording": .string("\(number + 1)"), "form": .string(form)])
        }
      }
      if samples.step == 0 {
        try add("input") { batch.input.values }
        try add("target") { batch.target.values }
      }
      try add("prediction") {
        var options = EnhancementOptions()
        options.mode = task.stage == .denoiser ? .denoise : .enhance
        options.denoising = 0
        var stream = try enhancer.makeStream(options, onStep: { _ in })
        return try stream.enhance(batch.input.values) + stream.finish()
      }
    }
  }

  func write(
    parameters: [String: Tensor], buffers: [String: Tensor], to directory: String
  ) throws {
    try model.write(
      model.tensors.merging(parameters) { $1 }.merging(buffers) { $1 }, to: directory)
  }
}

/// Samples that have been read.
private struct EnhancementMicroBatch: MicroBatch {
  let lesson: EnhancementLesson
  let number: Int
  let batch: EnhancementBatch

  func learn(_ input: LearningInput) throws -> LearningReport { try lesson.learn(self, input) }

  /// Statistics are of what the networks make.
  func buffers(after input: LearningInput) throws -> [String: Tensor] {
    lesson.task.stage == .autoencoder ? try learn(input).buffers : input.buffers
  }
}

extension StageLosses {
  /// For the log: each term, their sums as `loss` and, of the discriminators, `discriminator`.
  fileprivate var metrics: [String: Double] {
    var metrics = Dictionary(
      uniqueKeysWithValues: (terms + discriminatorTerms).map { ($0.name, Double($0.loss.scalar)) })
    metrics["loss"] = terms.reduce(0) { $0 + Double($1.loss.scalar) }
    if !discriminatorTerms.isEmpty {
      metrics["discriminator"] = discriminatorTerms.reduce(0) { $0 + Double($1.loss.scalar) }
    }
    return metrics
  }
}

extension [(name: String, loss: Tensor)] {
  fileprivate var total: Tensor { dropFirst().reduce(self[0].loss) { $0 + $1.loss } }
}

extension RandomNumbers {
  fileprivate mutating func normal(_ shape: [Int]) -> Tensor {
    Tensor(normal(shape.reduce(1, *)), shape: shape)
  }

  /// A number of the distribution Beta(a, a), by Jöhnk's method.
  fileprivate mutating func beta(_ a: Double) -> Float {
    while true {
      let (x, y) = (pow(Double(uniform()), 1 / a), pow(Double(uniform()), 1 / a))
      if x + y <= 1, x + y > 0 { return Float(x / (x + y)) }
    }
  }
}
