import Base
import Filters

/// Lines `path|text` or `path|speaker|text`; paths start from the list's folder. A first line with
/// the names of the columns is understood (`audio_file|text|speaker_name` and the like).
let listFormat = DatasetFormat(
  name: "list",
  recognises: { path in
    guard ["txt", "csv", "psv", "lst", "list"].contains(path.suffix), isFile(path),
      let first = try? TextLines(paths: [path]).next()
    else { return false }
    return first.contains("|")
  },
  check: { try checkText($0) },
  utterances: { path, reading, take in
    let lines = try TextLines(paths: [path])
    var order: [Column]?
    while let line = try lines.next() {
      guard !line.trimmed.isEmpty else { continue }
      let cells = line.split(separator: "|", omittingEmptySubsequences: false).map {
        String($0).trimmed
      }
      if lines.number == 1, let named = header(cells) {
        order = named
        continue
      }
      guard let columns = order ?? standard[cells.count], columns.count == cells.count,
        let file = columns.firstIndex(of: .path), !cells[file].isEmpty
      else {
        let wanted = order.map { "\($0.count) columns" } ?? "path|text or path|speaker|text"
        try take(badLine(path, lines.number, "not \(wanted)"))
        continue
      }
      func cell(_ column: Column) -> String? {
        columns.firstIndex(of: column).map { cells[$0] }.flatMap { $0.isEmpty ? nil : $0 }
      }
      let place = recording(path.folder.appending(path: cells[file]))
      let name = nameBelow(path.folder, cells[file])
      let text = cell(.text)
      try take(
        Utterance(
          id: recordID(name.withoutSuffix), path: place, source: name, text: text,
          speaker: cell(.speaker) ?? reading.speaker, language: cell(.language) ?? reading.language,
          problem: text == nil ? emptyTranscript : nil))
    }
  })

private enum Column {
  case path, text, speaker, language, other
}

private let standard: [Int: [Column]] = [2: [.path, .text], 3: [.path, .speaker, .text]]

/// The columns that a first line names; nil when it is an utterance.
private func header(_ cells: [String]) -> [Column]? {
  let columns = cells.map { cell -> Column in
    switch cell.lowercased() {
    case "path", "file", "filename", "file_name", "audio", "audio_file", "audio_path", "wav": .path
    case "text", "transcript", "transcription", "sentence": .text
    case "speaker", "speaker_name", "speaker_id": .speaker
    case "language", "lang": .language
    default: .other
    }
  }
  return columns.contains(.path) && columns.contains(.text) ? columns : nil
}
