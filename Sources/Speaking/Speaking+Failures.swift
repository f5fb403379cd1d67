public import Base

extension Failure {
  static func lineContent(_ problem: String, remedy: String) -> Failure {
    Failure(.badInput, problem: problem, remedy: remedy)
  }

  /// An utterance without text.
  public static func noText() -> Failure {
    Failure(
      .badInput, problem: "no text", remedy: "import the recording with its transcript")
  }

  static func voiceOfRecord(_ name: String, _ failure: Failure) -> Failure {
    Failure(
      .badInput, problem: "its voice '\(name)': \(failure.problem)",
      remedy: failure.remedy ?? "name another voice")
  }
}
