import Base
import Filters

/// What a run directory says of its run.
struct RecordedRun {
  /// A value at a step.
  typealias Curve = [(step: Double, value: Double)]

  let directory: String
  /// The curves of the steps, by name.
  private(set) var training: [String: Curve] = [:]
  /// The curves of the validations.
  private(set) var validation: [String: Curve] = [:]
  /// What was said, in order.
  private(set) var samples: [RecordedSample] = []
  private(set) var steps = 0
  private(set) var seconds = 0.0
  let options: [String: String]

  /// Reads `progress.jsonl` and `run.json`; a last line that is being written is left out.
  ///
  /// - Throws: `noInput` when there is no run, `badInput` when the log is none.
  init(directory: String) throws {
    self.directory = directory
    let record = try? JSON.parse(try readFile(directory + "/run.json"))
    guard let record, record["format"]?.string == "ttstools run" else {
      throw Failure(
        .noInput, subject: directory, problem: "not the directory of a run",
        remedy: "give the directory of a run of tts-train or another tool that trains")
    }
    options = record["options"]?.stringMembers ?? [:]
    let path = directory + "/progress.jsonl"
    let lines = try readFile(path).split(separator: 10)
    for (number, line) in lines.enumerated() {
      guard let json = try? JSON.parse(Array(line)), let step = json["step"]?.integer else {
        if number == lines.count - 1 { break }
        throw Failure(
          .badInput, subject: path, problem: "line \(number + 1) is no line of a log",
          remedy: "remove the line")
      }
      add(json, Double(step))
    }
  }

  private mutating func add(_ json: JSON, _ step: Double) {
    var values = json["metrics"]?.object?.compactMapValues(\.double) ?? [:]
    switch json["type"]?.string {
    case "train":
      // Of each group of parameters: lr, lr_discriminator.
      for (name, value) in json.object ?? [:]
      where ["lr", "grad_norm"].contains(where: { name == $0 || name.hasPrefix($0 + "_") }) {
        values[name] = value.double
      }
      for (name, value) in values { training[name, default: []].append((step, value)) }
      steps = Int(step)
      seconds += json["seconds"]?.double ?? 0
    case "valid":
      for (name, value) in values { validation[name, default: []].append((step, value)) }
    case "samples":
      samples += (json["samples"]?.array ?? []).compactMap { RecordedSample($0, step: Int(step)) }
    default: break
    }
  }

  /// The loss that compares between runs.
  var watched: String { validation["flow_diag"] == nil ? "loss" : "flow_diag" }
}
