import ArgumentParser
import Base
import Filters

/// `tts-train report`: what runs came to, on a page.
struct Report: Tool {
  static let tool = ToolDescription(
    name: "tts-train report", abstract: "Put the losses and the samples of runs on one HTML page.",
    examples: [
      "tts-train report runs/mine > mine.html",
      "tts-train report -o all.html runs/head runs/lora runs/full",
    ],
    discussion: """
      The page stands alone: curves of the losses, the rate and the gradients' norm over the steps, \
      each run in a colour of its own, and under them a table with the last and the best validation \
      and the options. Samples of tts-train --sample-every are on it to listen to, step by step, the \
      runs side by side. Runs that still go on are drawn as far as they are.
      """)

  @Argument(help: ArgumentHelp("Run directories.", valueName: "run"), completion: .directory)
  var runs: [String]
  @Option(
    name: [.customShort("o"), .long],
    help: ArgumentHelp(
      "Write to this file, which gets its name only when it is whole. Default: standard output.",
      valueName: "file"), completion: .file(extensions: ["html"]))
  var output: String?
  @Option(
    help: ArgumentHelp(
      """
      Megabytes that the samples may add to the page; those of the latest steps come first. 0: none.
      """, valueName: "n"))
  var audioLimit = 50
  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard (0...10_000).contains(audioLimit) else {
      throw ValidationError("--audio-limit must be between 0 and 10000.")
    }
  }

  func execute(_ run: ToolRun) throws {
    let runs = try runs.map { try RecordedRun(directory: $0) }
    let page = ReportPage(runs, SampleTable(runs, megabytes: audioLimit))
    let file = try ByteOutput(path: output)
    try file.write(page.html)
    try file.finish()
  }
}

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
        remedy: "give what tts-train --run wrote")
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
      for name in ["lr", "grad_norm"] { values[name] = json[name]?.double }
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
