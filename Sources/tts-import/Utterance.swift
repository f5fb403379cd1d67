import Audio
import AudioRecords
import Base
import Records
import Safetensors

/// One utterance of a dataset: a recording, or a stretch of one.
struct Utterance: Sendable {
  /// The id of its records.
  var id: String
  /// The recording.
  var path: String
  /// The recording's name in the dataset, for `source`.
  var source: String
  var text: String?
  var speaker: String?
  var language: String?
  /// Seconds into the recording.
  var start = 0.0
  /// Seconds; nil is to the end.
  var duration: Double?
  /// Seconds from the utterance's start, one a word; NaN where it is not known.
  var wordStarts: [Float] = []
  var wordEnds: [Float] = []
  /// Why it cannot be used, when that is known before the recording is opened.
  var problem: String?

  /// What a record of it holds besides audio.
  var emptyRecord: Record {
    var record = Record(id: id)
    record.text = text
    record.speaker = speaker
    record.language = language
    record.metadata["source"] = source
    if !wordStarts.isEmpty {
      record.arrays["word_starts"] = ArrayData(wordStarts)
      record.arrays["word_ends"] = ArrayData(wordEnds)
    }
    return record
  }

  /// Reads the recording and gives its records, parts of at most 60 s or 16 MiB.
  func records(_ emit: (Record) throws -> Void) throws {
    if let problem { throw Failure.unusable(path, problem) }
    let file = try AudioFile(path: path)
    try file.seek(to: try firstFrame(of: file))
    var rest = frameCount(of: file)
    let limit = partFrames(rate: file.rate, channels: file.channels)
    var position = file.position
    // One part is read ahead: only what follows tells whether a part is the last.
    var piece = try read(file, min(limit, rest))
    guard piece.first?.isEmpty == false else { throw Failure.emptyAudio(path) }
    var base = emptyRecord
    base.metadata["source_sha256"] = try SourceDigests.shared.digest(of: path).description
    base.setInteger("source_rate", file.rate)
    var part = 0
    while let count = piece.first?.count, count > 0 {
      rest -= count
      // A later part that fails must not take this one with it.
      let next = Result { rest > 0 ? try read(file, min(limit, rest)) : [] }
      let isLast =
        if case .success(let samples) = next { samples.first?.isEmpty ?? true } else { false }
      var record = base
      record.setAudio(piece, rate: file.rate)
      record.setInteger("source_start", position)
      record.setInteger("source_end", position + count)
      if part > 0 || !isLast {
        record.part = part
        record.isLastPart = isLast
      }
      try emit(record)
      position += count
      part += 1
      base.text = nil
      base.arrays = [:]
      piece = try next.get()
    }
  }

  private func firstFrame(of file: AudioFile) throws -> Int {
    let frame = (start * Double(file.rate)).rounded()
    guard let frames = file.frames, frames > 0 else {
      guard frame == 0 else { throw Failure.outsideRecording(path) }
      return 0
    }
    guard frame < Double(frames) else { throw Failure.outsideRecording(path) }
    return Int(frame)
  }

  /// Samples to read, at most what there is.
  private func frameCount(of file: AudioFile) -> Int {
    guard let duration else { return .max }
    return Int(max(1, min(1e15, (duration * Double(file.rate)).rounded())))
  }

  private func read(_ file: AudioFile, _ count: Int) throws -> [[Float]] {
    let position = file.position
    let samples = try file.read(maxFrames: count)
    try checkFinite(samples, path: path, position: position)
    return samples
  }
}

/// Digests of recordings; those used last are kept, since the utterances of a manifest share files.
final class SourceDigests: Sendable {
  static let shared = SourceDigests()
  private let known = Locked<[String: SHA256Digest]>([:])

  func digest(of path: String) throws -> SHA256Digest {
    if let digest = known.withLock({ $0[path] }) { return digest }
    let digest = try fileDigest(path)
    known.withLock {
      if $0.count >= 1024 { $0.removeAll() }
      $0[path] = digest
    }
    return digest
  }
}
