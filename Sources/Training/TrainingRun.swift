import Base
import Foundation
import Glibc
public import Processes
import Tensors

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
  private let lesson: any Lesson
  private let options: RunOptions
  private let group: ProcessGroup
  private let record: RunRecord

  /// Optimiser steps in all.
  public var steps: Int { options.steps }

  /// A run; nothing is written yet.
  ///
  /// - Parameters:
  ///   - directory: the run directory.
  ///   - tool: the program that trains.
  ///   - toolVersion: of what its content depends on.
  ///   - group: the processes that train together. What comes out does not depend on them.
  /// - Throws: `usage` when the processes cannot share the micro-batches of a step.
  public init(
    directory: String, lesson: any Lesson, options: RunOptions, tool: String, toolVersion: Int,
    group: ProcessGroup = .alone
  ) throws {
    try Self.check(group, options)
    let names = lesson.groups.flatMap(\.names)
    precondition(
      names.count == lesson.parameters.count && Set(names) == Set(lesson.parameters.keys),
      "each parameter belongs to one group")
    self.directory = directory
    self.lesson = lesson
    self.options = options
    self.group = group
    record = RunRecord(lesson.facts, options, tool: tool, version: toolVersion)
  }

  /// Whether a directory holds a run.
  ///
  /// - Throws: `cannotCreate` when it holds something that a run would overwrite.
  public static func exists(in directory: String) throws -> Bool {
    func has(_ name: String) -> Bool { access(directory + "/" + name, F_OK) == 0 }
    if has("run.json") { return true }
    let others = [
      "checkpoints", "progress.jsonl", "model.safetensors", "config.yaml", "hparams.yaml", "ds",
    ]
    guard !others.contains(where: has) else { throw Failure.notARun(directory) }
    return false
  }

  /// Refuses a number of processes that cannot share the micro-batches of a step evenly.
  public static func check(_ group: ProcessGroup, _ options: RunOptions) throws {
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
      every: options.sampleEvery, lesson: lesson, directory: directory, observer: observer)
    if group.isRoot {
      try Self.check(directory, resumes: resumes)
      try samples.check()
      try createDirectory(directory)
    }
    let lock = group.isRoot ? try RunLock(directory) : nil
    defer { lock?.release() }
    try group.checkSame(record.bytes, "model, data and options")
    let checkpoints = Checkpoints(
      folder: directory + "/checkpoints", kept: options.keptCheckpoints)
    let goesOn = try group.fromRoot { try Self.exists(in: directory) ? 1 : 0 } == 1
    let state = try goesOn ? continuedState(checkpoints, observer) : initialState()
    var events: EventFile?
    if group.isRoot {
      for folder in [directory, directory + "/best"] { removeLeftovers(in: folder) }
      try record.write(to: directory)
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
    func writeModel(_ state: TrainingState, to directory: String) throws {
      try lesson.write(
        parameters: state.weights.dictionary, buffers: state.buffers, to: directory)
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
      try record.compare(with: directory)
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
    let lesson = try lesson.prepared(for: group, observer)
    return TrainingLoop(
      lesson: lesson, options: options, state: consume state, log: log, group: group,
      observer: observer)
  }

  private func initialState() -> TrainingState {
    let parameters = ParameterSet(lesson.parameters).loaded()
    return TrainingState(
      step: 0, parameters: parameters,
      optimizers: lesson.groups.map { Optimizer($0, among: parameters) },
      average: options.averageDecay > 0 ? parameters : nil, buffers: lesson.buffers)
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
