import Base

extension Failure {
  static func noMPI(_ problem: String) -> Failure {
    Failure(
      .unavailable, subject: "MPI", problem: problem,
      remedy: "install OpenMPI (openmpi-bin) and start with its mpirun, or start a single process")
  }

  static let lostProcess = Failure(
    .unavailable, subject: "MPI", problem: "another process of the job is lost",
    remedy: "run the same command again; it may be with fewer processes")

  static func unequal(_ what: String) -> Failure {
    Failure(
      .configuration, problem: "the processes of the job do not have the same \(what)",
      remedy: "give all of them the same files, and machines of one kind")
  }
}

extension Failure {
  /// The failure as it travels to other processes.
  var message: [UInt8] {
    var object: [String: JSON] = [
      "kind": .integer(Int64(kind.rawValue)), "problem": .string(problem),
    ]
    object["subject"] = subject.map(JSON.string)
    object["record"] = record.map(JSON.string)
    object["remedy"] = remedy.map(JSON.string)
    return JSON.object(object).canonicalBytes
  }

  /// The failure of another process.
  init(message: [UInt8]) {
    let json = try? JSON.parse(message)
    self.init(
      Kind(rawValue: json?["kind"]?.integer.map(Int32.init(truncatingIfNeeded:)) ?? 70),
      subject: json?["subject"]?.string, record: json?["record"]?.string,
      problem: json?["problem"]?.string ?? "another process failed",
      remedy: json?["remedy"]?.string)
  }
}
