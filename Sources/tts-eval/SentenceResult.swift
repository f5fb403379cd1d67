import Base
import ModelInterface
import Text

/// What was measured of one sentence.
struct SentenceResult: Sendable {
  /// Fewer frames than this count as silent.
  static let fewestFrames = 8

  let id: String
  let text: String
  var summary = GenerationSummary()
  var seconds = 0.0
  /// Root mean square in dB of full scale; nil where there is no sound at all.
  var level: Double?
  var isSilent = false
  /// Characters of the text, pauses not counted.
  var characters = 0
  var referenceSeconds: Double?
  /// dB.
  var spectralDistance: Double?
  var latentDistance: Double?
  var heard: Hearing?
  var heardOfReference: Hearing?
  var similarity: Double?
  /// One for each threshold that is compared.
  var endings: [Ending] = []
  /// Commands that were run for it, and why some of them failed.
  var commands = 0
  var failures: [Failure] = []
  /// Why it could not be spoken.
  var rejection: String?

  /// Whether all of it ended by itself, before the limit of frames.
  var ended: Bool { summary.endlessPieces == 0 }
  var charactersPerSecond: Double? { seconds > 0 ? Double(characters) / seconds : nil }
  var durationRatio: Double? { referenceSeconds.map { seconds / $0 } }

  /// A line of `--items`.
  var json: JSON {
    var object: [String: JSON] = ["id": .string(id), "text": .string(text)]
    if let rejection {
      object["rejected"] = .string(rejection)
      return .object(object)
    }
    object["frames"] = .integer(Int64(summary.frames))
    object["seconds"] = .number(seconds)
    object["pieces"] = .integer(Int64(summary.pieces))
    object["no_eos_pieces"] = .integer(Int64(summary.endlessPieces))
    object["no_eos"] = .bool(!ended)
    object["silent"] = .bool(isSilent)
    object["level_dbfs"] = number(level)
    object["characters_per_second"] = number(charactersPerSecond)
    object["reference_seconds"] = number(referenceSeconds)
    object["duration_ratio"] = number(durationRatio)
    object["log_spectral_distance_db"] = number(spectralDistance)
    object["latent_distance"] = number(latentDistance)
    object["similarity"] = number(similarity)
    object["asr"] = heard?.json ?? .null
    object["asr_of_reference"] = heardOfReference?.json ?? .null
    object["failures"] = JSON(failures.map(\.description))
    return .object(object)
  }
}

/// What a command heard, beside what is right.
struct Hearing: Sendable {
  let transcript: String
  let words: EditCount
  let characters: EditCount

  /// - Parameter text: what is right.
  init(_ transcript: String, of text: String) {
    self.transcript = transcript.trimmingWhitespace
    let (heard, right) = (comparableWords(transcript), comparableWords(text))
    words = EditCount(heard, expected: right)
    characters = EditCount(
      Array(heard.joined(separator: " ")), expected: Array(right.joined(separator: " ")))
  }

  var json: JSON {
    .object([
      "transcript": .string(transcript), "words": .integer(Int64(words.length)),
      "substitutions": .integer(Int64(words.substitutions)),
      "deletions": .integer(Int64(words.deletions)),
      "insertions": .integer(Int64(words.insertions)), "wer": number(words.rate),
      "cer": number(characters.rate),
    ])
  }
}
