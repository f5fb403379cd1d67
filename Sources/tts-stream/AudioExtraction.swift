import Audio
import Base
import Foundation
import Records
import Safetensors

/// Writes the audio of records to files named by their ids, the parts of a recording to one file.
struct AudioExtraction {
  let folder: String
  private var open: (id: String, file: AtomicFile, writer: WAVWriter, rate: Int, channels: Int)?

  init(folder: String) { self.folder = folder }

  /// Writes the audio of a record.
  ///
  /// - Returns: the file's path below the folder; nil where there is no audio.
  mutating func take(_ record: Record, from path: String) throws -> String? {
    guard let encoding = record.audioEncoding else { return nil }
    let name = Record.path(of: record.id)
    if let open, open.id != record.id { try finish() }
    if encoding == .flac, record.part == nil, let audio = record.arrays["audio"] {
      try makeFolder(for: name)
      try AtomicFile.write(audio.bytes, to: "\(folder)/\(name).flac")
      return name + ".flac"
    }
    let (channels, rate) = try decodedAudio(of: record, path)
    if let open {
      guard open.rate == rate, open.channels == channels.count else {
        throw Failure.extraction(path, record.id, "its parts differ in rate or channels")
      }
    } else {
      try makeFolder(for: name)
      let file = try AtomicFile(path: "\(folder)/\(name).wav")
      let writer = WAVWriter(
        descriptor: file.descriptor, path: file.path, rate: rate, channels: channels.count,
        encoding: .float32)
      open = (record.id, file, writer, rate, channels.count)
    }
    try open?.writer.write(channels)
    if record.isLastPart { try finish() }
    return name + ".wav"
  }

  /// Ends the last file.
  mutating func finish() throws {
    guard var open else { return }
    self.open = nil
    try open.writer.finish()
    try open.file.commit()
  }

  func makeFolder(for name: String) throws {
    let parent = (folder + "/" + name).split(separator: "/", omittingEmptySubsequences: false)
      .dropLast().joined(separator: "/")
    do {
      try FileManager.default.createDirectory(
        atPath: parent, withIntermediateDirectories: true)
    } catch {
      throw Failure(
        .cannotCreate, subject: parent, problem: "cannot create the folder",
        remedy: "check the path and its permissions")
    }
  }
}

/// The samples of a record in ±1, whatever form they are kept in, and their rate.
func decodedAudio(of record: Record, _ path: String) throws -> (channels: [[Float]], rate: Int) {
  do {
    if record.audioEncoding == .flac, let audio = record.arrays["audio"] {
      return try FLAC.decode(audio.bytes)
    }
    let channels = try record.audio()
    guard let rate = record.sampleRate, rate > 0, !channels.isEmpty else {
      throw Failure.extraction(path, record.id, "its audio has no sample rate or no channels")
    }
    return (channels, rate)
  } catch var failure as Failure {
    failure.record = record.id
    throw failure.about(path)
  }
}
