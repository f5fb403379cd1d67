import Base

extension Failure {
  static func recordSize(_ size: Int, id: String?) -> Failure {
    Failure(
      .badInput, record: id, problem: "a record of \(size) bytes; the limit is \(Record.sizeLimit)",
      remedy: "split it into parts")
  }

  static func recordHeaderSize(_ size: Int, id: String) -> Failure {
    Failure(
      .badInput, record: id,
      problem: "\(size) bytes of texts in one record; the limit is \(Record.headerLimit)",
      remedy: "split it into parts")
  }

  static func recordWithoutID() -> Failure {
    Failure(.badInput, problem: "a record without 'id' among its texts")
  }

  static func recordID(_ id: String) -> Failure {
    Failure(
      .badInput, record: String(id.prefix(80)),
      problem: "an id must have 1 to 4096 bytes, no blank and no control character",
      remedy: "percent-encode it")
  }

  static func arrayName(id: String) -> Failure {
    Failure(.badInput, record: id, problem: "an array may not be named __metadata__")
  }

  static func noAudio(id: String) -> Failure {
    Failure(
      .badInput, record: id, problem: "there is no array 'audio'", remedy: "import audio first")
  }

  static func audioForm(id: String) -> Failure {
    Failure(
      .badInput, record: id,
      problem: "'audio' is neither F32 nor I16 of shape [channels, samples]",
      remedy: "pass it through tts-resample")
  }

  /// Bytes of a stream that are not what the format asks for.
  static func malformed(
    _ problem: String, path: String, offset: Int, after record: RecordPlace? = nil
  ) -> Failure {
    Failure(
      .badInput, subject: path,
      problem: "damaged at byte \(offset)\(record.map { ", \($0)" } ?? ""): \(problem)",
      remedy: "make it again, or try 'tts-stream recover'")
  }

  /// A stream that ends before its trailer: a damaged file, or an upstream that vanished.
  static func truncated(
    path: String, offset: Int, after record: RecordPlace, isPipe: Bool
  ) -> Failure {
    isPipe
      ? Failure(
        .inputOutput, subject: path,
        problem: "the stream ends at byte \(offset), \(record), without its trailer",
        remedy: "upstream was killed; run again")
      : Failure(
        .badInput, subject: path,
        problem: "cut short at byte \(offset), \(record): there is no trailer",
        remedy: "make it again, or try 'tts-stream recover'")
  }

  static func notAStream(path: String) -> Failure {
    Failure(
      .badInput, subject: path, problem: "not a record stream", remedy: "use tts-import to make one"
    )
  }

  static func formatVersion(_ version: UInt32, path: String) -> Failure {
    Failure(
      .unsupportedFormat, subject: path,
      problem:
        "format version \(version); this program reads version \(StreamHeader.formatVersion)",
      remedy: "use a newer ttstools")
  }

  static func features(_ names: [String], path: String) -> Failure {
    Failure(
      .unsupportedFormat, subject: path,
      problem: "needs features that are unknown here: \(names.joined(separator: ", "))",
      remedy: "use a newer ttstools")
  }

  static func compression(_ reason: String) -> Failure {
    Failure(.internalFault, problem: "zstd: \(reason)")
  }

  static func segmentTooLong(_ path: String) -> Failure {
    Failure(
      .badInput, subject: path, problem: "more than \(SeekTable.frameLimit) blocks in one segment",
      remedy: "write several files, with tts-shard")
  }

  static func ordinal(_ ordinal: Int, count: Int, path: String) -> Failure {
    Failure(
      .usage, subject: path, problem: "record \(ordinal) of a file of \(count) was asked for")
  }
}

/// Where in a stream something is wrong: after which record.
struct RecordPlace: CustomStringConvertible {
  /// Records before.
  var ordinal: Int
  /// The id of the one before.
  var id: String?

  var description: String {
    guard ordinal > 0 else { return "before the first record" }
    return "after record \(ordinal)" + (id.map { " ('\($0)')" } ?? "")
  }
}
