public import Base

extension Failure {
  static func nonFiniteLoss(step: Int) -> Failure {
    Failure(
      .badInput, problem: "the loss is not finite at step \(step)",
      remedy: "lower --lr or lengthen --warmup; the last checkpoint is whole")
  }

  static func nonFiniteGradient(_ name: String, step: Int) -> Failure {
    Failure(
      .badInput, problem: "the gradient of '\(name)' is not finite at step \(step)",
      remedy: "lower --lr or lengthen --warmup; the last checkpoint is whole")
  }
}

// What is wrong with a run.
extension Failure {
  static func damagedCheckpoint(_ path: String, _ problem: String) -> Failure {
    Failure(.badInput, subject: path, problem: problem, remedy: "an earlier checkpoint is used")
  }

  static func otherCheckpoint(_ path: String, _ problem: String = "it belongs to another model")
    -> Failure
  {
    Failure(
      .configuration, subject: path, problem: problem,
      remedy: "an earlier checkpoint is used")
  }

  static func checkpointVersion(_ path: String) -> Failure {
    Failure(
      .unsupportedFormat, subject: path, problem: "a checkpoint of a newer version",
      remedy: "use a newer ttstools")
  }

  static func noCheckpoint(_ folder: String, _ step: Int, known: [Int]) -> Failure {
    Failure(
      .noInput, subject: folder, problem: "no checkpoint of step \(step)",
      remedy: known.isEmpty
        ? "name the directory of a run"
        : "there are those of " + known.sorted().map(String.init).joined(separator: ", "))
  }

  static func noWholeCheckpoint(_ folder: String, last: Failure) -> Failure {
    Failure(
      last.kind, subject: folder, problem: "no checkpoint can be used: \(last.problem)",
      remedy: "start a new run in another directory")
  }

  static func runExists(_ path: String) -> Failure {
    Failure(
      .cannotCreate, subject: path, problem: "there is a run already",
      remedy: "add --resume to continue it, or choose another directory")
  }

  static func runIsBusy(_ path: String) -> Failure {
    Failure(
      .cannotCreate, subject: path, problem: "another process is training here",
      remedy: "wait for it, or choose another directory")
  }

  static func notARun(_ path: String) -> Failure {
    Failure(
      .cannotCreate, subject: path, problem: "the directory holds a model, but no run",
      remedy: "choose another directory")
  }

  static func damagedRun(_ path: String) -> Failure {
    Failure(
      .badInput, subject: path, problem: "it does not describe a run",
      remedy: "start a new run in another directory")
  }

  static func changedOption(_ name: String, was old: String, is new: String, run: String) -> Failure
  {
    Failure(
      .configuration, subject: run, problem: "--\(name) is \(new), the run was begun with \(old)",
      remedy:
        "continue with the same options (only --steps and samples may differ), or begin another run"
    )
  }

  static func changedInput(_ name: String, run: String) -> Failure {
    Failure(
      .configuration, subject: run, problem: "--\(name) is not what the run was begun with",
      remedy: "continue with the same model and data, or begin another run")
  }

  static func runIsLonger(_ steps: Int, than asked: Int, run: String) -> Failure {
    Failure(
      .usage, subject: run, problem: "it has made \(steps) steps already, --steps is \(asked)",
      remedy: "ask for more steps")
  }

  /// A signal ended the run; what is to be kept is on the disk.
  public static let stopped = Failure(
    .interrupted, problem: "interrupted", remedy: "run the same command with --resume")
}

// What is wrong with a number of processes.
extension Failure {
  static func oddProcesses(_ count: Int) -> Failure {
    Failure(
      .usage, problem: "\(count) processes cannot train together",
      remedy: "start a power of two: 2, 4, 8, …")
  }

  static func unevenProcesses(_ count: Int, accumulate: Int) -> Failure {
    let fitting = accumulate & -accumulate
    return Failure(
      .usage,
      problem: "--accumulate \(accumulate) cannot be shared evenly by \(count) processes",
      remedy: "make it a multiple of \(count), or start "
        + (fitting == 1 ? "one process" : "at most \(fitting), a power of two"))
  }
}
