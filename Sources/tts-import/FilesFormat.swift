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
    try walk(path.trimmingSlashes, below: "", depth: 0) { file, name in
      var utterance = fileUtterance(file, name: name, reading)
      if reading.speakerFromFolder, let end = name.firstIndex(of: "/") {
        utterance.speaker = String(name[..<end])
      }
      try take(utterance)
    } unreadable: { file, name in
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

/// Calls a closure with each recording below a folder, names in byte order, and the path from the
/// operand on. Hidden files are left out.
private func walk(
  _ folder: String, below: String, depth: Int, _ take: (String, String) throws -> Void,
  unreadable: (String, String) throws -> Void
) throws {
  guard depth <= 64 else { throw Failure.foldersTooDeep(folder) }
  guard let listing = opendir(folder) else {
    throw Failure.systemCall("open", folder, code: errno)
  }
  var names: [[UInt8]] = []
  while let entry = readdir(listing) {
    let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
    if name.first != UInt8(ascii: ".") { names.append(name) }
  }
  closedir(listing)
  for bytes in names.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
    guard let name = String(validating: bytes, as: UTF8.self) else {
      let shown = escaped(bytes)
      if audioSuffixes.contains(shown.suffix) {
        try unreadable(folder + "/" + shown, below + shown)
      }
      continue
    }
    let path = folder + "/" + name
    if isFolder(path) {
      try walk(path, below: below + name + "/", depth: depth + 1, take, unreadable: unreadable)
    } else if audioSuffixes.contains(name.suffix) {
      try take(path, below + name)
    }
  }
}

/// Bytes that are no UTF-8, for a message: all that is not ASCII as hexadecimal digits.
private func escaped(_ bytes: [UInt8]) -> String {
  bytes.map { $0 < 0x80 ? String(UnicodeScalar($0)) : "%" + [$0].hexadecimal.uppercased() }.joined()
}
