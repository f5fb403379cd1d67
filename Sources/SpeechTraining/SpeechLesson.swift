import Base
public import ModelInterface
public import Processes
import Records
import Tensors
import Text
public import Training

/// To speak: a text-to-speech model learns from shards of utterances.
struct SpeechLesson: Lesson {
  private let trainable: any Trainable
  private let training: Corpus
  private let validation: Corpus?
  private var options: TrainingOptions
  /// The parameters that do not train.
  private let constants: [String: Tensor]
  let parameters: [String: Tensor]
  private let loader: ExampleLoader
  private let validationLoader: ExampleLoader?
  private let plan: BatchPlan
  /// What the frozen part of the model makes of all utterances; nil where it is computed each time.
  private var features: FeatureCache?

  /// The seed of validation: the same for all runs, so that they compare.
  private static let validationSeed: UInt64 = 0

  /// - Throws: `usage` when the options choose no parameters, or a cache of features that move.
  init(
    _ trainable: any Trainable, training: Corpus, validation: Corpus?, options: TrainingOptions
  ) throws {
    let trained = try options.selection.names(of: trainable)
    if options.cache != nil {
      guard options.statistics != .ema else { throw Failure.movingStatistics }
      guard trainable.frozenPart(training: trained) != nil else { throw Failure.nothingFrozen }
    }
    self.trainable = trainable
    self.training = training
    self.validation = validation
    self.options = options
    constants = trainable.parameters.filter { !trained.contains($0.key) }
    parameters = trainable.parameters.filter { trained.contains($0.key) }
    loader = ExampleLoader(training, options.examples)
    validationLoader = validation.map { ExampleLoader($0, options.examples.plain) }
    plan = BatchPlan(training, options)
  }

  var buffers: [String: Tensor] {
    guard options.statistics == .data else { return trainable.buffers }
    return trainable.buffers.merging(
      trainable.buffers(mean: training.mean, deviation: training.deviation)
    ) { $1 }
  }

  var groups: [ParameterGroup] {
    let (trainable, includesHead) = (trainable, options.muonIncludesHead)
    return [
      ParameterGroup(
        "model", Set(parameters.keys), rate: options.rate, clip: options.clip,
        optimizer: options.optimizer, decays: { trainable.decays($0) },
        orthogonalBlocks: { trainable.orthogonalBlocks($0, includingHead: includesHead) })
    ]
  }

  // MARK: Getting ready

  func prepared(
    for group: ProcessGroup, _ observer: TrainingObserver
  ) throws -> any Lesson {
    var lesson = self
    if let limit = options.memory {
      let utterance = training.utterances.map { Int($0.frames + $0.tokens) }.max() ?? 0
      let prompt = Int(options.examples.promptSeconds * trainable.frameRate)
      let plan = try MemoryPlan(
        limit: limit, trainable, positions: options.batch * (utterance + prompt + 2),
        gradients: 4 * parameters.values.reduce(0) { $0 + $1.count })
      lesson.options.loss.recomputedLayers = plan.recomputedLayers
      observer.say(
        "--memory: \(plan.recomputedLayers) of \(trainable.layers) layers are computed again")
    }
    if let folder = options.cache,
      let part = trainable.frozenPart(training: Set(parameters.keys))
    {
      lesson.features = try FeatureCache(
        folder: folder,
        FeatureCache.Source(
          trainable: trainable, buffers: buffers, corpus: training,
          loader: ExampleLoader(training, options.examples), options: options, part: part),
        variants: options.cacheVariants, group: group, observer: observer)
    }
    return lesson
  }

  // MARK: Steps

  func microBatch(_ number: Int) throws -> any MicroBatch {
    let (samples, seed) = (plan.batch(number), options.run.seed)
    let examples =
      try features.map { features in try samples.map { try features.example($0, seed: seed) } }
      ?? loader.examples(samples, seed: seed, variesPrompts: true)
    return SpeechMicroBatch(lesson: self, number: number, examples: examples)
  }

  func changesBuffers(step: Int) -> Bool {
    options.statistics == .ema && step <= options.statisticsSteps
  }

  fileprivate func learn(
    _ batch: SpeechMicroBatch, _ input: LearningInput
  ) throws -> LearningReport {
    let buffers = buffers(after: batch, input)
    var random = RandomNumbers(seed: options.run.seed, name: "training \(batch.number)")
    var metrics: [String: Double] = [:]
    let gradients = try ProductPrecision.inBFloat16(options.usesBFloat16) {
      try input.gradients { variables in
        let report = try trainable.loss(
          of: batch.examples, parameters: constants.merging(variables) { $1 }, buffers: buffers,
          options: options.loss, isEvaluation: false, random: &random)
        metrics = report.metrics
        return report.loss
      }
    }
    return LearningReport(gradients: gradients, metrics: metrics, buffers: buffers)
  }

  /// The statistics after they moved towards a batch, where they do.
  fileprivate func buffers(
    after batch: SpeechMicroBatch, _ input: LearningInput
  ) -> [String: Tensor] {
    guard changesBuffers(step: input.step) else { return input.buffers }
    return input.buffers.merging(
      trainable.buffers(
        input.buffers, movedTowards: batch.examples, decay: options.statisticsDecay)
    ) { $1 }
  }

  // MARK: Validation

  /// Utterances in the order of the shards; a batch weighs what it has of frames.
  var validationWeights: [Double] {
    guard let validation else { return [] }
    return stride(from: 0, to: validation.count, by: options.batch).map { first in
      let utterances = validation.utterances[
        first..<min(validation.count, first + options.batch)]
      return Double(utterances.reduce(0) { $0 + Int($1.frames) })
    }
  }

  /// Nothing is dropped, all terms are computed.
  func validate(
    _ number: Int, parameters: [String: Tensor], buffers: [String: Tensor]
  ) throws -> [String: Double] {
    guard let validation, let validationLoader else { return [:] }
    let range = number * options.batch..<min(validation.count, (number + 1) * options.batch)
    let samples = range.map { BatchPlan.Sample(position: $0, utterance: $0) }
    let batch = try validationLoader.examples(
      samples, seed: Self.validationSeed, variesPrompts: false)
    var random = RandomNumbers(seed: Self.validationSeed, name: "validation \(number)")
    return try trainable.loss(
      of: batch, parameters: constants.merging(parameters) { $1 }, buffers: buffers,
      options: options.loss, isEvaluation: true, random: &random
    ).metrics
  }

  /// Of an LSD head the diagonal term, which compares between runs and holds no learned weight.
  var watched: [String] { ["flow_diag", "loss"] }

  // MARK: What comes of it

  func checkSamples() throws {
    try options.samples.check {
      try trainable.synthesizer(parameters: trainable.parameters, buffers: trainable.buffers)
    }
  }

  func makeSamples(
    _ samples: SampleCollection, parameters: [String: Tensor], buffers: [String: Tensor]
  ) throws {
    let synthesizer = try trainable.synthesizer(
      parameters: constants.merging(parameters) { $1 }, buffers: buffers)
    try options.samples.say(with: synthesizer, into: samples)
  }

  func write(
    parameters: [String: Tensor], buffers: [String: Tensor], to directory: String
  ) throws {
    try trainable.write(
      parameters: constants.merging(parameters) { $1 }, buffers: buffers, to: directory)
  }
}

/// Utterances that have been read.
private struct SpeechMicroBatch: MicroBatch {
  let lesson: SpeechLesson
  let number: Int
  let examples: [TrainingExample]

  func learn(_ input: LearningInput) throws -> LearningReport { try lesson.learn(self, input) }
  func buffers(after input: LearningInput) -> [String: Tensor] {
    lesson.buffers(after: self, input)
  }
}

// MARK: What a run is made of

extension SpeechLesson {
  var facts: LessonFacts {
    LessonFacts(
      options: options.recorded.merging(["train": training.weights]) { $1 },
      models: [
        "start": digest(of: trainable.parameters.map { ($0.key, $0.value) }).description,
        "encoder": trainable.codecDigest.description,
        "tokenizer": trainable.tokenizer.digest.description,
        "teacher": trainable.teacherDigest?.description,
      ].compactMapValues(\.self),
      buffers: digest(of: trainable.buffers.map { ($0.key, $0.value) }),
      data: [
        "train": Self.description(of: training),
        "valid": validation.map(Self.description) ?? .null,
        "voice-bank": training.voices.map(Self.description) ?? .null,
      ], parents: training.header.leaves,
      digests: ["voice-bank": training.voices?.digest.description].compactMapValues(\.self))
  }

  private static func description(of voices: VoiceBank) -> JSON {
    [
      "digest": .string(voices.digest.description),
      "voices": .array(voices.references.keys.sorted().map { .string($0) }),
    ]
  }

  private static func description(of corpus: Corpus) -> JSON {
    [
      "digest": .string(corpus.digest.description), "utterances": .integer(Int64(corpus.count)),
      "records": .integer(Int64(corpus.records)), "frames": .integer(Int64(corpus.frames)),
      "left_out": .object(corpus.leftOut.mapValues { .integer(Int64($0)) }),
      "cut": .integer(Int64(corpus.cut)),
      "sources": .array(
        corpus.sources.map { source in
          [
            "utterances": .integer(Int64(source.utterances.count)),
            "frames": .integer(Int64(source.frames)), "share": .number(source.share),
          ]
        }),
    ]
  }
}

extension TrainingRun {
  /// A run of `tts-train`; nothing is written yet.
  ///
  /// - Throws: `usage` when the options choose no parameters, or a cache of features that move; as
  ///   ``TrainingRun/init(directory:lesson:options:tool:toolVersion:group:)``.
  public init(
    directory: String, trainable: any Trainable, training: Corpus, validation: Corpus?,
    options: TrainingOptions, toolVersion: Int, group: ProcessGroup = .alone
  ) throws {
    try Self.check(group, options.run)
    try self.init(
      directory: directory,
      lesson: SpeechLesson(
        trainable, training: training, validation: validation, options: options),
      options: options.run, tool: "tts-train", toolVersion: toolVersion, group: group)
  }
}
