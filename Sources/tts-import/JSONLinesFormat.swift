import Base
import Filters
import Records

/// JSON lines, one utterance each: the official training manifest (`path`, `duration`, `transcript`,
/// `start`, `words`) and NeMo's keys (`audio_filepath`, `text`, `offset`). Paths start from the
/// manifest's folder.
let jsonLinesFormat = DatasetFormat(
  name: "jsonl",
  recognises: { path in
    guard ["jsonl", "json", "ndjson", "manifest"].contains(path.suffix), isFile(path),
      let first = try? TextLines(paths: [path], limit: 16 << 20).next()
    else { return false }
    return first.trimmed.hasPrefix("{")
  },
  check: { try checkText($0) },
  utterances: { path, reading, take in
    // Word times make long lines.
    let lines = try TextLines(paths: [path], limit: 16 << 20)
    while let line = try lines.next() {
      guard !line.trimmed.isEmpty else { continue }
      try take(utterance(line, in: path, number: lines.number, reading))
    }
  })

private func utterance(
  _ line: String, in manifest: String, number: Int, _ reading: DatasetReading
) -> Utterance {
  let entry: JSON
  do {
    entry = try JSON.parse(text: line)
  } catch {
    return badLine(manifest, number, error.problem)
  }
  guard let file = entry["path"]?.string ?? entry["audio_filepath"]?.string, !file.isEmpty else {
    return badLine(manifest, number, "no path")
  }
  let name = nameBelow(manifest.folder, file)
  let start = entry["start"] ?? entry["offset"]
  let text = (entry["transcript"] ?? entry["text"])?.string?.trimmed
  var id = name.withoutSuffix
  if let seconds = start?.double {
    // Several utterances may share a file.
    id += "@" + Record.text(of: seconds)
  }
  var result = Utterance(
    id: recordID(entry["id"]?.string ?? id),
    path: recording(manifest.folder.appending(path: file)), source: name, text: text,
    speaker: entry["speaker"]?.string ?? reading.speaker,
    language: (entry["language"] ?? entry["lang"])?.string ?? reading.language)
  if text?.isEmpty ?? true {
    result.text = nil
    result.problem = emptyTranscript
  }
  for (key, value) in [("start", start), ("duration", entry["duration"])] {
    guard let value, value != .null else { continue }
    guard let seconds = value.double, seconds >= 0, seconds <= 1e9, key == "start" || seconds > 0
    else {
      result.problem = "\(key) is not a number of seconds"
      return result
    }
    if key == "start" { result.start = seconds } else { result.duration = seconds }
  }
  addWords(entry["words"], to: &result)
  return result
}

/// Takes word times over when there is one word for each blank-separated word of the text, so that
/// it is known which is which.
private func addWords(_ words: JSON?, to utterance: inout Utterance) {
  guard let words = words?.array, !words.isEmpty, let text = utterance.text,
    words.count == text.split(whereSeparator: \.isWhitespace).count
  else { return }
  func times(_ key: String) -> [Float] {
    words.map { word in
      guard let seconds = word[key]?.double, abs(seconds) < 1e9 else { return .nan }
      return Float(seconds)
    }
  }
  utterance.wordStarts = times("start")
  utterance.wordEnds = times("end")
}
