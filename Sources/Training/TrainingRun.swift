import Base
import Foundation
import Glibc
public import ModelInterface
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
  private let stage: Stage
  /// The names of the parameters that train.
  private let trained: Set<String>

  /// A run; nothing is written yet.
  ///
  /// - Parameters:
  ///   - directory: the run directory.
  ///   - toolVersion: of what its content depends on.
  /// - Throws: `usage` when the options choose no parameters.
  public init(
    directory: String, trainable: any Trainable, training: Corpus, validation: Corpus?,
    options: TrainingOptions, toolVersion: Int
  ) throws {
    trained = try options.selection.names(of: trainable)
    self.directory = directory
    self.trainable = trainable
    self.training = training
    self.validation = validation
    self.options = options
    stage = Stage(
      tool: "tts-train", version: toolVersion,
      parameters: options.recorded.merging(["steps": "\(options.steps)"]) { $1 },
      models: [
        "start": digest(of: trainable.parameters.map { ($0.key, $0.value) }).description,
        "encoder": trainable.codecDigest.description,
        "tokenizer": trainable.tokenizer.digest.description,
      ], parents: training.header.leaves)
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

  /// Refuses to begin where a run is, unless it is to be continued.
  public static func check(_ directory: String, resumes: Bool) throws {
    if try exists(in: directory), !resumes { throw Failure.runExists(directory) }
  }

  /// Trains to the last step.
  ///
  /// - Parameter resumes: whether a run that is there is continued.
  /// - Throws: `interrupted` after a checkpoint when the observer asks to end.
  public func train(resumes: Bool, observer: TrainingObserver) throws -> TrainingSummary {
    try Self.check(directory, resumes: resumes)
    let samples = SampleWriter(
      request: options.samples, trainable: trainable, constants: constants,
      directory: directory, observer: observer)
    try samples.check()
    try createDirectory(directory)
    let lock = try RunLock(directory)
    defer { lock.release() }
    let checkpoints = Checkpoints(
      folder: directory + "/checkpoints", kept: options.keptCheckpoints)
    var state = initialState()
    let goesOn = try Self.exists(in: directory)
    if goesOn {
      try compareWithRecord()
      removeLeftovers(in: directory)
      let decays = trainable.decays
      if let found = try checkpoints.newest(
        like: state, decays: decays,
        onDamaged: { observer.warn("\($0)") })
      {
        state = found
      }
      guard state.step <= options.steps else {
        throw Failure.runIsLonger(state.step, than: options.steps, run: directory)
      }
    }
    try writeRecord()
    samples.removeLater(than: state.step)
    let events = try EventFile(
      folder: directory + "/events", from: goesOn ? state.step + 1 : 0)
    let log = try ProgressLog(
      path: directory + "/progress.jsonl", keepingUpTo: goesOn ? state.step : nil,
      events: events)
    if !goesOn {
      try log.write(
        "run_start", step: 0,
        ["max_steps": .integer(Int64(options.steps)), "world_size": 1])
    }
    var loop = makeLoop(state, log, observer)
    let constants = constants
    func writeModel(_ state: TrainingState, to directory: String) throws {
      try trainable.write(
        parameters: constants.merging(state.weights.dictionary) { $1 }, buffers: state.buffers,
        to: directory)
    }
    return try loop.run(
      save: { state in
        try checkpoints.write(state)
        try writeModel(state, to: directory)
      },
      saveBest: { state in
        try createDirectory(directory + "/best")
        try writeModel(state, to: directory + "/best")
      },
      sample: { state, isLast in
        try !samples.isDue(state.step, isLast: isLast, log) || samples.write(state, log)
      })
  }

  /// Makes some steps that nothing is written of.
  ///
  /// - Returns: parameters that train, and seconds a step.
  public func rehearse(steps: Int, observer: TrainingObserver) throws -> (
    parameters: Int, seconds: Double
  ) {
    let state = initialState()
    var loop = makeLoop(state, nil, observer)
    return (state.parameters.count, try loop.rehearse(steps: steps))
  }

  private func makeLoop(
    _ state: TrainingState, _ log: ProgressLog?, _ observer: TrainingObserver
  ) -> TrainingLoop {
    TrainingLoop(
      trainable: trainable, constants: constants, options: options, training: training,
      validation: validation, state: state, log: log, observer: observer)
  }

  /// The parameters that do not train.
  private var constants: [String: Tensor] {
    trainable.parameters.filter { !trained.contains($0.key) }
  }

  private func initialState() -> TrainingState {
    let parameters = ParameterSet(trainable.parameters.filter { trained.contains($0.key) })
      .loaded()
    let optimizer = AdamW(options.optimizer, for: parameters, decays: trainable.decays)
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
    return [
      "format": "ttstools run", "version": 1,
      "stage": stage.json, "stage_id": .string(stage.id), "options": JSON(options),
      "steps": .integer(Int64(self.options.steps)),
      "train": Self.description(of: training),
      "valid": validation.map(Self.description) ?? .null,
      "buffers": .string(
        digest(of: trainable.buffers.map { ($0.key, $0.value) }).description),
    ]
  }

  private static func description(of corpus: Corpus) -> JSON {
    [
      "digest": .string(corpus.digest.description), "utterances": .integer(Int64(corpus.count)),
      "records": .integer(Int64(corpus.records)), "frames": .integer(Int64(corpus.frames)),
      "left_out": .object(corpus.leftOut.mapValues { .integer(Int64($0)) }),
      "cut": .integer(Int64(corpus.cut)),
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
    for name in ["train", "valid"] where old[name]?["digest"] != new[name]?["digest"] {
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
