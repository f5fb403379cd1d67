import Base
import Foundation

/// What a line of the log says of a sample.
struct RecordedSample {
  let step: Int
  /// Its name in the run's `samples`.
  let file: String
  let subject: Subject
  /// Whether speech ended by itself.
  let ended: Bool

  /// What is heard: a text in a voice, or a recording in one of its forms.
  enum Subject: Hashable {
    case speech(text: String, voice: String?)
    case recording(String, form: String)

    /// For people.
    var title: String {
      switch self {
      case .speech(let text, let voice): "“\(text)”" + (voice.map { ", " + $0 } ?? "")
      case .recording(let name, let form): "\(name), \(form)"
      }
    }
  }

  /// - Returns: nil when the line names no file.
  init?(_ json: JSON, step: Int) {
    guard let file = json["file"]?.string, !file.contains("/"), !file.hasPrefix(".") else {
      return nil
    }
    self.step = step
    self.file = file
    if let text = json["text"]?.string {
      subject = .speech(text: text, voice: json["voice"]?.string)
    } else if let name = json["recording"]?.string, let form = json["form"]?.string {
      subject = .recording(name, form: form)
    } else {
      return nil
    }
    ended = json["ended"]?.bool ?? true
  }
}

/// The samples of runs, to listen to: a table for each subject, with a row for each step and a
/// column for each run. The sound is in the page itself, up to a limit, the latest steps first.
struct SampleTable {
  private let runs: [RecordedRun]
  private let megabytes: Int
  /// The sound as base64, by run and file.
  private var sounds: [String: String] = [:]
  /// Samples that the limit left out.
  private var leftOut = 0

  init(_ runs: [RecordedRun], megabytes: Int) {
    self.runs = runs
    self.megabytes = megabytes
    var rest = megabytes * 1_000_000
    // Of one step as many as there is room for, of earlier ones none: what is heard is a stretch of the run.
    // What is heard only once, such as a recording before it is enhanced, counts as of the last step.
    let all = runs.flatMap { run in
      let last = Dictionary(run.samples.map { ($0.subject, $0.step) }, uniquingKeysWith: max)
      return run.samples.map { (run, $0, last[$0.subject] == $0.step ? Int.max : $0.step) }
    }
    for (run, sample, _) in all.enumerated().sorted(by: { left, right in
      (right.element.2, left.offset) < (left.element.2, right.offset)
    }).map(\.element) {
      guard leftOut == 0 else {
        leftOut += 1
        continue
      }
      guard let bytes = try? readFile(path(run, sample)) else { continue }
      let text = Data(bytes).base64EncodedString()
      guard text.utf8.count <= rest else {
        leftOut += 1
        continue
      }
      rest -= text.utf8.count
      sounds[path(run, sample)] = text
    }
  }

  private func path(_ run: RecordedRun, _ sample: RecordedSample) -> String {
    run.directory + "/samples/" + sample.file
  }

  var html: String {
    var subjects: [RecordedSample.Subject] = []
    for sample in runs.flatMap(\.samples) where !subjects.contains(sample.subject) {
      subjects.append(sample.subject)
    }
    guard !subjects.isEmpty else { return "" }
    let note =
      leftOut == 0
      ? ""
      : "<p>\(leftOut) samples of earlier steps are left out: the sound on a page is limited to "
        + "\(megabytes) MB (--audio-limit). They are in the samples folder of each run.</p>\n"
    return "<h2>Samples</h2>\n" + note + subjects.map(table).joined(separator: "\n")
  }

  private func table(_ subject: RecordedSample.Subject) -> String {
    let columns = runs.map { run in
      Dictionary(
        run.samples.filter { $0.subject == subject && sounds[path(run, $0)] != nil }
          .map { ($0.step, $0) }, uniquingKeysWith: { $1 })
    }
    let steps = Set(columns.flatMap(\.keys)).sorted()
    guard !steps.isEmpty else { return "" }
    let head = runs.map { "<th>\(escaped($0.directory))</th>" }.joined()
    let rows = steps.map { step in
      let cells = zip(runs, columns).map { run, samples in
        "<td>\(samples[step].map { cell(run, $0) } ?? "–")</td>"
      }
      return "<tr><th>step \(step)</th>\(cells.joined())</tr>"
    }
    return """
      <p>\(escaped(subject.title))</p>
      <table><tr><th></th>\(head)</tr>
      \(rows.joined(separator: "\n"))
      </table>
      """
  }

  private func cell(_ run: RecordedRun, _ sample: RecordedSample) -> String {
    let sound = sounds[path(run, sample)] ?? ""
    let note = sample.ended ? "" : " did not end by itself"
    return "<audio controls preload=\"none\" src=\"data:audio/wav;base64,\(sound)\"></audio>\(note)"
  }
}
