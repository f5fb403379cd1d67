import Base

extension Failure {
  static var terminal: Failure {
    Failure(
      .usage, subject: "standard input", problem: "no input: it is a terminal",
      remedy: "name files, or pipe records in; --help shows examples")
  }

  static var outputTerminal: Failure {
    Failure(
      .usage, subject: "standard output", problem: "binary output is not written to a terminal",
      remedy: "give -o FILE or pipe the output into another tool")
  }

  static func differs(_ left: String, _ right: String) -> Failure {
    Failure(.negative, subject: left, problem: "differs from \(right)")
  }

  static func notDone(_ path: String, _ reason: String) -> Failure {
    Failure(.negative, subject: path, problem: reason, remedy: "make it")
  }

  static func brokenParts(_ path: String, _ id: String) -> Failure {
    Failure(
      .badInput, subject: path, record: id,
      problem: "its parts are not contiguous, in order and complete", remedy: "make it again")
  }

  static func extraction(_ path: String, _ id: String, _ problem: String) -> Failure {
    Failure(.badInput, subject: path, record: id, problem: problem, remedy: "mend the input")
  }
}
