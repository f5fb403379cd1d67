import Base

extension Failure {
  static func configuration(_ file: String, _ problem: String, _ remedy: String) -> Failure {
    Failure(.configuration, subject: file, problem: problem, remedy: remedy)
  }

  static func missingFile(_ path: String, namedBy file: String) -> Failure {
    Failure(
      .noInput, subject: file, problem: "it names '\(path)', which is not there",
      remedy: "put the file beside the configuration")
  }

  static func noModel(_ path: String) -> Failure {
    Failure(
      .noInput, subject: path, problem: "no such model",
      remedy: "give a directory with config.yaml, a YAML file, or one of "
        + KnownConfigurations.names.joined(separator: ", "))
  }

  static func unknownVoice(_ name: String, known: [String]) -> Failure {
    Failure(
      .noInput, subject: name, problem: "neither a file nor a voice of this model",
      remedy: "give a recording"
        + (known.isEmpty ? "" : ", or one of " + known.joined(separator: ", ")))
  }

  static func tokenizerSize(_ found: Int, expected: Int, file: String) -> Failure {
    Failure(
      .configuration, subject: file,
      problem: "the tokenizer has \(found) pieces, the configuration's n_bins is \(expected)",
      remedy: "use the tokenizer that belongs to the model")
  }

  static func otherBase(_ adapter: String, model: String) -> Failure {
    Failure(
      .configuration, subject: adapter,
      problem: "the adapter belongs to other weights than those of \(model)",
      remedy: "use it with the model that it was trained on")
  }

  static let pathOfDistillation = Failure(
    .usage, problem: "what a teacher makes has no path from noise to data",
    remedy: "leave out --path")
}
