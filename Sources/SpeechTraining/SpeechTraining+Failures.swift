import Base

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
