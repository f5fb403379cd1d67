import Base
import Foundation
import Glibc
public import ModelInterface
public import Processes
import Records
import Tensors
import Text

/// What a run tells and asks while it goes on.
public struct TrainingObserver {
  /// A warning.
  public var warn: (String) -> Void
  /// Something worth a line.
  public var say: (String) -> Void
  /// A line that the next one replaces.
  public var progress: (String) -> Void
  /// Whether the run should end as soon as it can.
  public var isInterrupted: () -> Bool

  /// What a run tells and asks.
  public init(
    warn: @escaping (String) -> Void, say: @escaping (String) -> Void,
    progress: @escaping (String) -> Void, isInterrupted: @escaping () -> Bool
  ) {
    self.warn = warn
    self.say = say
    self.progress = progress
    self.isInterrupted = isInterrupted
  }
}

/// What a run came to.
public struct TrainingSummary: Sendable {
  /// Steps made in all.
  public var steps: Int
  /// The step that this process began at.
  public var firstStep: Int
  /// The metrics of the last validation.
  public var validation: [String: Double]
  /// The same of the first one of this process.
  public var firstValidation: [String: Double]
  /// Seconds a step, on average, without validations and checkpoints.
  public var secondsPerStep: Double
}

/// A training run in a directory: what it is made of is fixed when it begins.
public struct TrainingRun {
  private let directory: String
  private let trainable: any Trainable
  private let training: Corpus
  private let validation: Corpus?
  private let options: TrainingOptions
  private let group: ProcessGroup
  private let stage: Stage
  /// The names of the parameters that train.
  private let trained: Set<String>

  /// A run; nothing is written yet.
  ///
  /// - Parameters:
  ///   - directory: the run directory.
  ///   - toolVersion: of what its content depends on.
  ///   - group: the processes that train together. What comes out does not depend on them.
  /// - Throws: `usage` when the options choose no parameters, or the processes cannot share the
  ///   micro-batches of a step.
  public init(
    directory: String, trainable: any Trainable, training: Corpus, validation: Corpus?,
    options: TrainingOptions, toolVersion: Int, group: ProcessGroup = .alone
  ) throws {
    try Self.check(group, options)
    self.group = group
    trained = try options.selection.names(of: trainable)
    if options.cache != nil {
      guard options.statistics != .ema else { throw Failure.movingStatistics }
      guard trainable.frozenPart(training: trained) != nil else { throw Failure.nothingFrozen }
    }
    self.directory = directory
    self.trainable = trainable
    self.training = training
    self.validation = validation
    self.options = options
    stage = Stage(
      tool: "tts-train", version: toolVersion,
      parameters: options.recorded.merging(
        [
          "steps": "\(options.steps)", "train": training.weights,
          "voice-bank": training.voices?.digest.description,
        ].compactMapValues(\.self)
      ) { $1 },
      models: [
        "start": digest(of: trainable.parameters.map { ($0.key, $0.value) }).description,
        "encoder": trainable.codecDigest.description,
        "tokenizer": trainable.tokenizer.digest.description,
        "teacher": trainable.teacherDigest?.description,
      ].compactMapValues(\.self), parents: training.header.leaves)
  }

  /// Whether a directory holds a run.
  ///
  /// - Throws: `cannotCreate` when it holds something that a run would overwrite.
  public static func exists(in directory: String) throws -> Bool {
    func has(_ name: String) -> Bool { access(directory + "/" + name, F_OK) == 0 }
    if has("run.json") { return true }
    for name in ["checkpoints", "progress.jsonl", "model.safetensors", "config.yaml"]
    where has(name) {
      throw Failure.notARun(directory)
    }
    return false
  }

  /// Refuses a number of processes that cannot share the micro-batches of a step evenly.
  public static func check(_ group: ProcessGroup, _ options: TrainingOptions) throws {
    let size = group.size
    guard size & (size - 1) == 0 else { throw Failure.oddProcesses(size) }
    guard options.accumulate % size == 0 else {
      throw Failure.unevenProcesses(size, accumulate: options.accumulate)
    }
  }

  /// Refuses to begin where a run is, unless it is to be continued.
  public static func check(_ directory: String, resumes: Bool) throws {
    if try exists(in: directory), !resumes { throw Failure.runExists(directory) }
  }

  /// Trains to the last step.
  ///
  /// - Parameter resumes: whether a run that is there is continued.
  /// - Throws: `interrupted` after a checkpoint when the observer asks to end.
  public func train(resumes: Bool, observer: TrainingObserver) throws -> TrainingSummary {
    let samples = SampleWriter(
      request: options.samples, trainable: trainable, constants: constants,
      directory: directory, observer: observer)
    if group.isRoot {
      try Self.check(directory, resumes: resumes)
      try samples.check()
      try createDirectory(directory)
    }
    let lock = group.isRoot ? try RunLock(directory) : nil
    defer { lock?.release() }
    try group.checkSame(record.canonicalBytes, "model, data and options")
    let checkpoints = Checkpoints(
      folder: directory + "/checkpoints", kept: options.keptCheckpoints)
    let goesOn = try group.fromRoot { try Self.exists(in: directory) ? 1 : 0 } == 1
    let state = try goesOn ? continuedState(checkpoints, observer) : initialState()
    var events: EventFile?
    if group.isRoot {
      for folder in [directory, directory + "/best"] { removeLeftovers(in: folder) }
      try writeRecord()
      samples.removeLater(than: state.step)
      events = try EventFile(
        folder: directory + "/events", from: goesOn ? state.step + 1 : 0)
    }
    let log = try ProgressLog(
      path: directory + "/progress.jsonl", keepingUpTo: goesOn ? state.step : nil, group: group,
      events: events)
    if !goesOn {
      try log.write(
        "run_start", step: 0,
        [
          "max_steps": .integer(Int64(options.steps)), "world_size": .integer(Int64(group.size)),
        ])
    }
    // Whoever keeps the state beside the loop makes its first step copy all of it.
    var loop = try makeLoop(consume state, log, observer)
    let constants = constants
    func writeModel(_ state: TrainingState, to directory: String) throws {
      try trainable.write(
        parameters: constants.merging(state.weights.dictionary) { $1 }, buffers: state.buffers,
        to: directory)
    }
    return try loop.run(
      save: { state in
        guard group.isRoot else { return }
        try checkpoints.write(state)
        try writeModel(state, to: directory)
      },
      saveBest: { state in
        guard group.isRoot else { return }
        try createDirectory(directory + "/best")
        try writeModel(state, to: directory + "/best")
      },
      sample: { state, isLast in
        // The root speaks; the others wait for it, and stop with it.
        let isDone =
          try !group.isRoot || !samples.isDue(state.step, isLast: isLast, log)
          || samples.write(state, log)
        return try !group.agree(stops: !isDone)
      })
  }

  /// The state of the newest checkpoint that is whole, or the first one where there is none.
  private func continuedState(
    _ checkpoints: Checkpoints, _ observer: TrainingObserver
  ) throws -> TrainingState {
    let first = initialState()
    var found: TrainingState?
    let step = try group.fromRoot {
      try compareWithRecord()
      found = try checkpoints.newest(
        like: first, onDamaged: { observer.warn("\($0)") })
      return found?.step ?? -1
    }
    guard step <= options.steps else {
      throw Failure.runIsLonger(step, than: options.steps, run: directory)
    }
    if step >= 0, !group.isRoot {
      found = try checkpoints.read(step, like: first)
    }
    return found ?? first
  }

  /// Makes some steps that nothing is written of.
  ///
  /// - Returns: parameters that train, and seconds a step.
  public func rehearse(steps: Int, observer: TrainingObserver) throws -> (
    parameters: Int, seconds: Double
  ) {
    let state = initialState()
    let count = state.parameters.count
    var loop = try makeLoop(consume state, nil, observer)
    return (count, try loop.rehearse(steps: steps))
  }

  private func makeLoop(
    _ state: consuming TrainingState, _ log: ProgressLog?, _ observer: TrainingObserver
  ) throws -> TrainingLoop {
    var options = options
    if let limit = options.memory {
      let utterance = training.utterances.map { Int($0.frames + $0.tokens) }.max() ?? 0
      let prompt = Int(options.examples.promptSeconds * trainable.frameRate)
      let plan = try MemoryPlan(
        limit: limit, trainable, positions: options.batch * (utterance + prompt + 2),
        gradients: 4 * state.parameters.count)
      options.loss.recomputedLayers = plan.recomputedLayers
      observer.say(
        "--memory: \(plan.recomputedLayers) of \(trainable.layers) layers are computed again")
    }
    let features = try features(buffers: state.buffers, observer)
    return TrainingLoop(
      trainable: trainable, constants: constants, options: options, training: training,
      validation: validation, features: features, state: consume state, log: log, group: group,
      observer: observer)
  }

  /// What the frozen part of the model makes of the data, where it is to be kept.
  private func features(
    buffers: [String: Tensor], _ observer: TrainingObserver
  ) throws -> FeatureCache? {
    guard let folder = options.cache, let part = trainable.frozenPart(training: trained) else {
      return nil
    }
    return try FeatureCache(
      folder: folder,
      FeatureCache.Source(
        trainable: trainable, buffers: buffers, corpus: training,
        loader: ExampleLoader(training, options.examples), options: options, part: part),
      variants: options.cacheVariants, group: group, observer: observer)
  }

  /// The parameters that do not train.
  private var constants: [String: Tensor] {
    trainable.parameters.filter { !trained.contains($0.key) }
  }

  private func initialState() -> TrainingState {
    let parameters = ParameterSet(trainable.parameters.filter { trained.contains($0.key) })
      .loaded()
    let optimizer = Optimizer(
      options.optimizer, for: parameters, of: trainable, highestRate: options.rate.highest)
    let buffers =
      options.statistics == .data
      ? trainable.buffers.merging(
        trainable.buffers(mean: training.mean, deviation: training.deviation)
      ) { $1 } : trainable.buffers
    return TrainingState(
      step: 0, parameters: parameters, optimizer: optimizer,
      average: options.averageDecay > 0 ? parameters : nil, buffers: buffers)
  }

  // MARK: run.json

  private var record: JSON {
    let options = options.recorded.merging(options.recordedHabits) { $1 }
      .merging(["train": training.weights]) { $1 }
    return [
      "format": "ttstools run", "version": 1,
      "stage": stage.json, "stage_id": .string(stage.id), "options": JSON(options),
      "steps": .integer(Int64(self.options.steps)),
      "train": Self.description(of: training),
      "valid": validation.map(Self.description) ?? .null,
      "voice-bank": training.voices.map(Self.description) ?? .null,
      "buffers": .string(
        digest(of: trainable.buffers.map { ($0.key, $0.value) }).description),
    ]
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

  private func writeRecord() throws {
    try AtomicFile.write(record.canonicalBytes + [10], to: directory + "/run.json")
  }

  /// Compares what the run was begun with; only the number of steps may differ.
  private func compareWithRecord() throws {
    let path = directory + "/run.json"
    guard let data = FileManager.default.contents(atPath: path) else {
      throw Failure.systemCall("read", path, code: errno)
    }
    guard let old = try? JSON.parse([UInt8](data)), old["format"]?.string == "ttstools run",
      let oldOptions = old["options"]?.stringMembers,
      let oldStage = old["stage"]?["models"]?.stringMembers
    else { throw Failure.damagedRun(path) }
    let new = record
    for (name, value) in (new["options"]?.stringMembers ?? [:]).sorted(by: { $0.key < $1.key }) {
      let before = oldOptions[name] ?? "something else"
      if before != value {
        throw Failure.changedOption(name, was: before, is: value, run: directory)
      }
    }
    if oldStage != stage.models || old["buffers"] != new["buffers"] {
      throw Failure.changedInput("model", run: directory)
    }
    for name in ["train", "valid", "voice-bank"] where old[name]?["digest"] != new[name]?["digest"]
    {
      throw Failure.changedInput(name, run: directory)
    }
  }
}

/// Keeps a second process from writing to the same run; it ends with the process.
private final class RunLock {
  private let descriptor: Int32

  init(_ directory: String) throws {
    descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw Failure.systemCall("open", directory, writing: true, code: errno)
    }
    // Where the file system has no locks the run goes on without.
    if flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK {
      close(descriptor)
      throw Failure.runIsBusy(directory)
    }
  }

  func release() { close(descriptor) }
}
