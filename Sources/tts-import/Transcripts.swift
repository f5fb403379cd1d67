import Base
import Filters
import Records

/// Why an utterance whose transcript holds nothing is rejected.
let emptyTranscript = "the transcript is empty"

/// The text of a file: its lines, joined by blanks.
func transcriptText(_ path: String) throws -> String {
  let lines = try TextLines(paths: [path])
  var text: [String] = []
  while let line = try lines.next() {
    let line = line.trimmed
    if !line.isEmpty { text.append(line) }
  }
  return text.joined(separator: " ")
}

/// An id from a name; names that are too long for one end in a digest of themselves.
func recordID(_ name: String) -> String {
  let id = Record.id(from: name)
  guard id.utf8.count <= 2048 else {
    return String(id.unicodeScalars.prefix(400).map(Character.init)) + "-"
      + SHA256Digest(of: id.utf8).description
  }
  return id.isEmpty ? "unnamed" : id
}

/// An utterance for a line of a manifest that makes no sense: it keeps the place and says why.
func badLine(_ path: String, _ number: Int, _ problem: String) -> Utterance {
  Utterance(
    id: recordID("\(path.fileName):\(number)"), path: path, source: path.fileName,
    problem: "line \(number) of \(path.fileName): \(problem)")
}
