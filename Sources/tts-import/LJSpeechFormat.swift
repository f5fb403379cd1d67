import Base
import Filters

/// A folder with `metadata.csv`, lines of id, text and normalised text between bars, and the
/// recordings `wavs/ID.wav`.
let ljSpeechFormat = DatasetFormat(
  name: "ljspeech",
  recognises: { path in isFile(metadata(path)) && (isFolder(path) || isFolder(wavs(path))) },
  check: { path in
    guard isFile(metadata(path)) else { throw Failure.notLJSpeech(path) }
    try checkText(metadata(path))
  },
  utterances: { path, reading, take in
    let lines = try TextLines(paths: [metadata(path)])
    while let line = try lines.next() {
      guard !line.trimmed.isEmpty else { continue }
      let columns = line.split(separator: "|", omittingEmptySubsequences: false).map {
        String($0).trimmed
      }
      guard columns.count == 2 || columns.count == 3, !columns[0].isEmpty else {
        try take(badLine(metadata(path), lines.number, "not ID|text or ID|text|normalised text"))
        continue
      }
      let normalised = columns.count == 3 ? columns[2] : ""
      let text = normalised.isEmpty ? columns[1] : normalised
      let file = recording(wavs(path).appending(path: columns[0]))
      try take(
        Utterance(
          id: recordID(columns[0]), path: file, source: "wavs/" + file.fileName, text: text,
          speaker: reading.speaker, language: reading.language,
          problem: text.isEmpty ? emptyTranscript : nil))
    }
  })

/// The table of an operand, which is the table itself or its folder.
private func metadata(_ path: String) -> String {
  path.fileName == "metadata.csv" && !isFolder(path) ? path : path.appending(path: "metadata.csv")
}

private func wavs(_ path: String) -> String { metadata(path).folder + "wavs" }
