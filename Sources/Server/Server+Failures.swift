import Base

extension Failure {
  static func serverStops() -> Failure {
    Failure(.unavailable, problem: "the server stops", remedy: "ask again later")
  }

  static func cannotListen(_ address: String, _ reason: String) -> Failure {
    Failure(
      .unavailable, subject: address, problem: "cannot listen: \(reason)",
      remedy: "check --host, or choose another --port")
  }

  static func noSuchVoice(_ name: String, _ names: [String]) -> Failure {
    Failure(
      .badInput, problem: "no voice '\(name)'",
      remedy: names.isEmpty
        ? "this server has one voice only; name none"
        : "there are: \(names.prefix(100).joined(separator: ", "))")
  }

  static func unusualRecording() -> Failure {
    Failure(
      .badInput, problem: "the recording has more than two channels or more than 192 kHz",
      remedy: "give an ordinary recording")
  }

  static func form(_ problem: String, remedy: String) -> Failure {
    Failure(.badInput, problem: problem, remedy: remedy)
  }
}
