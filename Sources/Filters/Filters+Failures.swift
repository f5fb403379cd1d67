import Base

extension Failure {
  /// A signal asked the run to end.
  static let interrupted = Failure(
    .interrupted, problem: "interrupted", remedy: "run the same command again")

  /// An error that no module of ours made.
  static func unexpected(_ error: any Error) -> Failure {
    Failure(
      .internalFault, problem: "unexpected error: \(error)",
      remedy: "please report this as a fault of the tool")
  }

  static var binaryToTerminal: Failure {
    Failure(
      .usage, subject: "standard output", problem: "binary output is not written to a terminal",
      remedy: "give -o FILE or pipe the output into another tool")
  }

  static var terminalInput: Failure {
    Failure(
      .usage, subject: "standard input", problem: "no input: it is a terminal",
      remedy: "name files, or pipe records in; --help shows examples")
  }

  static var shardOfStandardInput: Failure {
    Failure(
      .usage, subject: "--shard", problem: "standard input cannot be divided among tasks",
      remedy: "name the input files")
  }

  static func tooManyRejected(_ count: Int, of total: Int, limit: String, last: String) -> Failure {
    Failure(
      .badInput,
      problem: "\(count) of \(total) ids were rejected, more than \(limit); last: \(last)",
      remedy: "mend the input, or allow more with --max-rejected")
  }

  static func scatteredParts(_ path: String, id: String, part: Int, expected: Int?) -> Failure {
    Failure(
      .badInput, subject: path, record: id,
      problem: expected.map { "part \(part) follows where part \($0) is due" }
        ?? "part \(part) comes first",
      remedy: "parts of a recording must be contiguous, in order and complete; make the file again")
  }

  static func missingLastPart(_ path: String, id: String) -> Failure {
    Failure(
      .badInput, subject: path, record: id, problem: "the last part is missing",
      remedy: "parts of a recording must be contiguous, in order and complete; make the file again")
  }

  static func notUTF8(_ path: String, line: Int) -> Failure {
    Failure(
      .badInput, subject: path, problem: "line \(line) is not UTF-8 text",
      remedy: "convert the file to UTF-8")
  }

  static func lineTooLong(_ path: String, line: Int, limit: Int) -> Failure {
    Failure(
      .badInput, subject: path, problem: "line \(line) is longer than \(limit) bytes",
      remedy: "is this a text file? break the line")
  }
}
