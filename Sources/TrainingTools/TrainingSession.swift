import Base
public import Filters
import Foundation
public import Processes
public import Training

/// The work of a tool that trains, around its run: the processes, the messages, the report.
public struct TrainingSession {
  /// The tool.
  public let run: ToolRun
  /// The processes that train together.
  public let group: ProcessGroup

  /// Whether this process is the one that writes and speaks.
  public var isRoot: Bool { group.isRoot }

  /// Does the work of this process among those that a launcher started.
  ///
  /// - Throws: in all processes the failure of any.
  public static func begin(
    _ run: ToolRun, _ work: (TrainingSession) throws -> Void
  ) throws {
    let group = try ProcessGroup.launched()
    run.atEnd { group.leave() }
    if !group.isRoot { run.becomeSilent() }
    let session = TrainingSession(run: run, group: group)
    try group.together {
      try session.shareProcessors()
      try work(session)
    }
  }

  /// Processes on one machine divide its processors, unless the user did.
  private func shareProcessors() throws {
    guard group.size > 1 else { return }
    let share = try group.shareOfProcessors()
    if !run.options.choosesThreads { ThreadBudget.limit = share.threads }
    run.say("\(group.size) processes of \(ThreadBudget.limit) threads")
    if share.isBound, !run.options.choosesThreads {
      run.warn("the launcher leaves processors idle; consider mpirun --bind-to none")
    }
  }

  /// Refuses, before anything is read, processes that cannot share the micro-batches, and a directory that is
  /// not to be written to.
  ///
  /// - Parameter writes: whether anything will be written.
  public func check<Defaults>(_ arguments: RunArguments<Defaults>, writes: Bool) throws {
    try TrainingRun.check(group, arguments.options)
    if writes, group.isRoot {
      try TrainingRun.check(arguments.run, resumes: arguments.resume)
    }
  }

  /// Tells the user, and asks for signals.
  public var observer: TrainingObserver {
    let run = run
    return TrainingObserver(
      warn: { run.warn($0) }, say: { run.say($0) }, progress: { line in run.progress(line) },
      isInterrupted: { run.isInterrupted })
  }

  /// Trains to the last step; what it came to goes to the report.
  public func train<Defaults>(
    _ training: TrainingRun, _ arguments: RunArguments<Defaults>
  ) throws {
    let summary = try training.train(resumes: arguments.resume, observer: observer)
    run.count("steps", summary.steps - summary.firstStep)
    run.note("seconds_per_step", .number(summary.secondsPerStep))
    let metrics = { (values: [String: Double]) in
      JSON.object(values.filter { $0.value.isFinite }.mapValues { .number($0) })
    }
    run.note("first_validation", metrics(summary.firstValidation))
    run.note("validation", metrics(summary.validation))
    run.say(
      "\(arguments.run): \(summary.steps - summary.firstStep) steps, "
        + "\(rounded(summary.secondsPerStep)) s each")
  }

  /// Makes some steps that nothing is written of, and prints what the run will take.
  public func rehearse<Defaults>(
    _ training: TrainingRun, _ arguments: RunArguments<Defaults>
  ) throws {
    let result = try training.rehearse(steps: 3, observer: observer)
    guard group.isRoot else { return }
    // Values, gradients, two moments, and the running average.
    let copies = arguments.options.averageDecay > 0 ? 5 : 4
    let output = try ByteOutput(path: nil)
    let lines = [
      ("parameters that train", String(result.parameters)),
      ("their memory", "\(rounded(Double(4 * copies * result.parameters) / 1e6)) MB"),
      ("peak memory", "\(rounded(Double(ToolRun.peakMemory ?? 0) / 1e6)) MB"),
      ("a step", "\(rounded(result.seconds)) s"),
      (
        "\(training.steps) steps",
        "\(rounded(result.seconds * Double(training.steps) / 3600)) h"
      ),
    ]
    for (name, value) in lines {
      try output.write(name.padding(toLength: 24, withPad: " ", startingAt: 0) + value + "\n")
    }
    try output.finish()
  }
}
