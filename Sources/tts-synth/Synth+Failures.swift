import Base

extension Failure {
  static func textTooLong(limit: Int) -> Failure {
    Failure(
      .badInput, problem: "a text of more than \(limit >> 20) MiB does not fit into a record",
      remedy: "break it into lines")
  }

  static func utteranceTooLong(seconds: Int) -> Failure {
    Failure(
      .badInput, problem: "an utterance of more than \(seconds / 60) minutes has no loudness",
      remedy: "break it into lines, or leave --loudness away")
  }

  static func noPlayer(_ names: [String]) -> Failure {
    Failure(
      .unavailable, subject: "--play", problem: "no program that plays audio is installed",
      remedy: "install one of \(names.joined(separator: ", "))")
  }

  static func playerFailed(_ name: String, status: String) -> Failure {
    Failure(
      .unavailable, subject: name, problem: "it stopped playing (\(status))",
      remedy: "check that the sound works: \(name) can play a file by itself")
  }
}
