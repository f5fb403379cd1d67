public import Base
import Records
public import Tensors

/// Recordings of named voices, one each: the voice prompt of all that a voice says.
///
/// The official trainer's recipe for a model that knows some voices well: the prompt is the beginning of the
/// voice's reference, which is what the model will be given when it speaks.
public struct VoiceBank: Sendable {
  /// The beginning of each reference by its speaker: raw latents, `[frames, channels]`.
  public let references: [String: Tensor]
  /// The digest of the content, wherever the files lie.
  public let digest: SHA256Digest

  /// So much of a reference is a prompt unless the user wants another length, in seconds.
  public static let seconds = 10.0
  /// The probability of a shorter prompt, in training.
  static let cropShare: Float = 0.3
  /// The shortest of these, in seconds.
  static let shortestCrop = 2.5

  /// Reads references: records with latents whose speaker is the name of the voice. Rejected ones are left
  /// out.
  ///
  /// - Parameters:
  ///   - patterns: files or patterns of files.
  ///   - form: what the latents must be.
  ///   - seconds: how much of each is kept.
  /// - Throws: `badInput` for a reference without a speaker or without sound, and for a second one of the
  ///   same speaker; `configuration` for latents of another codec.
  public init(_ patterns: [String], _ form: LatentForm, seconds: Double = VoiceBank.seconds) throws
  {
    let frames = max(1, Int(seconds * form.frameRate))
    var references: [String: Tensor] = [:]
    var digests: [SHA256Digest] = []
    for path in try files(matching: patterns) {
      let reader = try RecordReader(path: path)
      var parts = PartCollector()
      var segment = -1
      while let record = try reader.next() {
        if reader.segment != segment {
          segment = reader.segment
          try form.check(reader.header, file: path)
        }
        guard let whole = try parts.add(record, file: path) else { continue }
        let latents: Tensor
        do {
          latents = try form.latents(of: whole, file: path)
        } catch LeftOut.rejected {
          continue
        } catch is LeftOut {
          throw Failure.emptyReference(record: record.id, file: path)
        }
        guard let speaker = whole[0].speaker, !speaker.isEmpty else {
          throw Failure.namelessReference(record: record.id, file: path)
        }
        guard references[speaker] == nil else {
          throw Failure.secondReference(speaker, record: record.id, file: path)
        }
        references[speaker] = latents.rows(0..<min(frames, latents.rows))
      }
      try parts.finish(file: path)
      digests += reader.trailers.map(\.orderedDigest)
    }
    guard !references.isEmpty else { throw Failure.emptyBank(patterns.first ?? "") }
    self.references = references
    digest = SHA256Digest(of: digests.flatMap(\.bytes))
  }

  /// Whether latents begin as the reference of a speaker does: it would be its own prompt, from which a model
  /// would learn to copy.
  func isReference(_ latents: Tensor, of speaker: String) -> Bool {
    guard let reference = references[speaker] else { return false }
    let rows = min(reference.rows, latents.rows)
    return reference.rows(0..<rows).values == latents.rows(0..<rows).values
  }
}

extension Failure {
  fileprivate static func namelessReference(record: String, file: String) -> Failure {
    Failure(
      .badInput, subject: file, record: record, problem: "a reference that names no speaker",
      remedy: "give each record of the voice bank the name of its voice (tts-import --speaker)")
  }

  fileprivate static func secondReference(_ speaker: String, record: String, file: String)
    -> Failure
  {
    Failure(
      .badInput, subject: file, record: record,
      problem: "a second reference of the speaker '\(speaker)'",
      remedy: "keep one reference of each voice in the voice bank")
  }

  fileprivate static func emptyReference(record: String, file: String) -> Failure {
    Failure(
      .badInput, subject: file, record: record, problem: "a reference without sound",
      remedy: "take another recording of the voice")
  }

  fileprivate static func emptyBank(_ pattern: String) -> Failure {
    Failure(
      .badInput, subject: pattern, problem: "no reference of a voice",
      remedy: "look at the records with tts-stream view")
  }

  static func noReference(
    _ what: String, speaker: String?, record: String, count: Int
  ) -> Failure {
    let who = speaker.map { "its speaker '\($0)' has no reference" } ?? "it names no speaker"
    return Failure(
      .badInput, subject: what, record: record,
      problem: "\(who); \(count) utterances are without a reference in --voice-bank",
      remedy: "add references of their speakers, or leave the utterances out")
  }
}
