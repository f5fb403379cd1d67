import Base

extension Failure {
  static func noText() -> Failure {
    Failure(.badInput, problem: "no text", remedy: "import the recording with its transcript")
  }

  static func emptyTranscript() -> Failure {
    Failure(.badInput, problem: "empty transcript", remedy: "mend the transcript")
  }
}
