import Base

extension Failure {
  static func nonFiniteGradient(_ name: String, step: Int) -> Failure {
    Failure(
      .badInput, problem: "the gradient of '\(name)' is not finite at step \(step)",
      remedy: "lower --lr or lengthen --warmup; the last checkpoint is whole")
  }
}

// What is wrong with data.
extension Failure {
  static func missing(_ what: String, of record: String, file: String, tool: String) -> Failure {
    Failure(
      .badInput, subject: file, record: record, problem: "no \(what)",
      remedy: "pass the records through \(tool) first")
  }

  static func latentShape(
    _ shape: [Int], width: Int, record: String, file: String
  ) -> Failure {
    Failure(
      .configuration, subject: file, record: record,
      problem: "latents of shape \(shape), the model learns [frames, \(width)]",
      remedy: "encode the records with the model's own codec")
  }

  static func frameRate(
    _ rate: Double, expected: Double, record: String, file: String
  ) -> Failure {
    Failure(
      .configuration, subject: file, record: record,
      problem: "\(rate) latent frames a second, the model has \(expected)",
      remedy: "encode the records with the model's own codec")
  }

  static func nonFiniteLatents(record: String, file: String) -> Failure {
    Failure(
      .badInput, subject: file, record: record, problem: "latents that are not finite numbers",
      remedy: "encode the record again")
  }

  static func unknownToken(_ token: Int, size: Int, record: String, file: String) -> Failure {
    Failure(
      .configuration, subject: file, record: record,
      problem: "token \(token), the model's tokenizer has \(size)",
      remedy: "tokenize the records with the model's own tokenizer")
  }

  static func otherModel(_ what: String, tool: String, file: String) -> Failure {
    Failure(
      .configuration, subject: file, problem: "its \(what) were made with another model",
      remedy: "run \(tool) with the model that is trained")
  }

  static func scatteredParts(record: String, file: String) -> Failure {
    Failure(
      .badInput, subject: file, record: record,
      problem: "its parts are not complete, contiguous and in order",
      remedy: "make the shards again with tts-shard")
  }

  static func nothingToLearn(_ what: String, leftOut: [String: Int]) -> Failure {
    let counts = leftOut.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
    return Failure(
      .badInput, subject: what,
      problem: "no utterance to learn from"
        + (counts.isEmpty ? "" : "; left out: " + counts.joined(separator: ", ")),
      remedy: "look at the records with tts-stream view")
  }

  static func nothingToCut(_ what: String) -> Failure {
    Failure(
      .badInput, subject: what,
      problem:
        "--prompts cut, but no utterance has two words with known times a second from both ends",
      remedy: "give the records word_starts and word_ends, or use --prompts auto")
  }

  static func noText(_ what: String, count: Int) -> Failure {
    Failure(
      .badInput, subject: what,
      problem: "\(count) utterances have tokens but no text to drop a period from",
      remedy: "keep the text in the records, or leave out --period-dropout")
  }

  static func changedWhileReading(record: String, file: String) -> Failure {
    Failure(
      .badInput, subject: file, record: record, problem: "the file changed during the run",
      remedy: "leave the shards alone while they are trained on")
  }

  static func weight(_ weight: Double, of pattern: String) -> Failure {
    Failure(
      .usage, subject: pattern,
      problem: "the weight \(weight) is not between 0.000001 and 1000000",
      remedy: "give PATTERN:WEIGHT, or PATTERN alone")
  }

  static func givenTwice(_ path: String) -> Failure {
    Failure(
      .usage, subject: path, problem: "the file is named twice",
      remedy: "name every shard once")
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
        ? "name a run of tts-train"
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

  static let stopped = Failure(
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

extension Failure {
  static func nonFiniteLoss(step: Int) -> Failure {
    Failure(
      .badInput, problem: "the loss is not finite at step \(step)",
      remedy: "lower --lr or lengthen --warmup; the last checkpoint is whole")
  }
}
