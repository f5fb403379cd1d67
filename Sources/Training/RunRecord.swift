import Base
import Foundation
import Records

/// `run.json`: what a run was begun with, so that it is continued with the same.
struct RunRecord {
  private let stage: Stage
  private let json: JSON

  /// - Parameters:
  ///   - tool: the program that trains.
  ///   - version: of what its content depends on.
  init(_ facts: LessonFacts, _ options: RunOptions, tool: String, version: Int) {
    let recorded = facts.options.merging(options.recorded) { $1 }
    stage = Stage(
      tool: tool, version: version,
      parameters: recorded.merging(facts.digests) { $1 }
        .merging(["steps": "\(options.steps)"]) { $1 },
      models: facts.models, parents: facts.parents)
    let own: [String: JSON] = [
      "format": "ttstools run", "version": 1,
      "stage": stage.json, "stage_id": .string(stage.id),
      "options": JSON(recorded.merging(options.recordedHabits) { $1 }),
      "steps": .integer(Int64(options.steps)), "buffers": .string(facts.buffers.description),
    ]
    json = .object(own.merging(facts.data) { own, _ in own })
    dataNames = facts.data.keys.sorted()
  }

  private let dataNames: [String]

  /// The same for the same run.
  var bytes: [UInt8] { json.canonicalBytes }

  func write(to directory: String) throws {
    try AtomicFile.write(json.canonicalBytes + [10], to: directory + "/run.json")
  }

  /// Compares with what the run in a directory was begun with; only the number of steps may differ.
  func compare(with directory: String) throws {
    let path = directory + "/run.json"
    guard let data = FileManager.default.contents(atPath: path) else {
      throw Failure.systemCall("read", path, code: errno)
    }
    guard let old = try? JSON.parse([UInt8](data)), old["format"]?.string == "ttstools run",
      let oldOptions = old["options"]?.stringMembers,
      let oldStage = old["stage"]?["models"]?.stringMembers
    else { throw Failure.damagedRun(path) }
    for (name, value) in (json["options"]?.stringMembers ?? [:]).sorted(by: { $0.key < $1.key }) {
      let before = oldOptions[name] ?? "something else"
      if before != value {
        throw Failure.changedOption(name, was: before, is: value, run: directory)
      }
    }
    if oldStage != stage.models || old["buffers"] != json["buffers"] {
      throw Failure.changedInput("model", run: directory)
    }
    for name in dataNames where old[name]?["digest"] != json[name]?["digest"] {
      throw Failure.changedInput(name, run: directory)
    }
  }
}
