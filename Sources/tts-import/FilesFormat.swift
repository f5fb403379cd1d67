import Audio
import Base
import Glibc

/// Bare recordings, and folders that are searched for them.
let filesFormat = DatasetFormat(
  name: "files",
  recognises: { _ in true },
  check: { path in
    guard !isFolder(path) else { return }
    // A named file that is no audio ends the run at once; an empty one is a bad recording.
    var status = stat()
    guard stat(path, &status) == 0, status.st_size > 0 else { return }
    do {
      _ = try AudioFile(path: path)
    } catch let failure as Failure where failure.problem.hasPrefix("the audio is cut short") {
      return
    }
  },
  utterances: { path, reading, take in
    guard isFolder(path) else {
      return try take(fileUtterance(path, name: path.fileName, reading))
    }
    try walkFolder(path.trimmingSlashes) { file, name in
      guard isRecording(name.fileName) else { return }
      var utterance = fileUtterance(file, name: name, reading)
      if reading.speakerFromFolder, let end = name.firstIndex(of: "/") {
        utterance.speaker = String(name[..<end])
      }
      try take(utterance)
    } unreadable: { file, name in
      guard isRecording(name.fileName) else { return }
      var utterance = fileUtterance(file, name: name, reading)
      utterance.problem = "the file's name is not UTF-8"
      try take(utterance)
    }
  })

private func fileUtterance(_ path: String, name: String, _ reading: DatasetReading) -> Utterance {
  var utterance = Utterance(
    id: recordID(name.withoutSuffix), path: path, source: name, speaker: reading.speaker,
    language: reading.language)
  let transcript = path.withoutSuffix + ".txt"
  if transcript != path, isFile(transcript) {
    do {
      utterance.text = try transcriptText(transcript)
      if utterance.text?.isEmpty == true { utterance.problem = emptyTranscript }
    } catch let failure as Failure {
      utterance.problem = "\(name.withoutSuffix.fileName).txt: \(failure.problem)"
    } catch {
      utterance.problem = "the transcript cannot be read"
    }
  }
  return utterance
}
