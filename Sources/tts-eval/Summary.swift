import Base
import ModelInterface
import Text

/// What all sentences came to.
struct Summary {
  /// Those that were spoken.
  private let spoken: [SentenceResult]
  let rejected: Int
  /// Records that were rejected before.
  let leftOut: Int
  let calibration: Calibration?

  /// - Parameter thresholds: those that were compared; empty when none were.
  init(_ results: [SentenceResult], leftOut: Int, thresholds: [Float]) {
    spoken = results.filter { $0.rejection == nil }
    rejected = results.count - spoken.count
    self.leftOut = leftOut
    calibration =
      thresholds.isEmpty ? nil : Calibration(thresholds, spoken.map(\.endings))
  }

  var sentences: Int { spoken.count }
  /// The share of sentences that ended by themselves; nil without any.
  var endRate: Double? {
    spoken.isEmpty ? nil : Double(spoken.count - endless) / Double(spoken.count)
  }
  /// Sentences that reached the limit of frames.
  var endless: Int { spoken.count { !$0.ended } }
  var silent: Int { spoken.count { $0.isSilent } }

  /// The measures that every sentence has one value of, by their names in JSON.
  var measures: [(name: String, values: Distribution)] {
    [
      ("frames", of { Double($0.summary.frames) }), ("seconds", of(\.seconds)),
      ("characters_per_second", of(\.charactersPerSecond)), ("level_dbfs", of(\.level)),
      ("duration_ratio", of(\.durationRatio)),
      ("log_spectral_distance_db", of(\.spectralDistance)),
      ("latent_distance", of(\.latentDistance)), ("similarity", of(\.similarity)),
    ]
  }

  /// What a command heard of the speech; nil when it heard none.
  var heard: HearingSummary? { HearingSummary(spoken.compactMap(\.heard)) }
  /// What it heard of the references.
  var heardOfReferences: HearingSummary? { HearingSummary(spoken.compactMap(\.heardOfReference)) }

  private func of(_ value: (SentenceResult) -> Double?) -> Distribution {
    Distribution(spoken.compactMap(value))
  }

  /// Commands that were run.
  var commands: Int { spoken.reduce(0) { $0 + $1.commands } }
  /// Why some of them failed.
  var failures: [Failure] { spoken.flatMap(\.failures) }

  /// All figures.
  ///
  /// - Parameter stage: what they were made with.
  func json(_ stage: JSON) -> JSON {
    var object: [String: JSON] = [
      "format": "ttstools evaluation", "version": 1, "stage": stage,
      "sentences": .integer(Int64(sentences)), "rejected": .integer(Int64(rejected)),
      "left_out": .integer(Int64(leftOut)), "eos_rate": number(endRate),
      "no_eos": .integer(Int64(endless)), "silent": .integer(Int64(silent)),
      "commands": .integer(Int64(commands)),
      "commands_failed": .integer(Int64(failures.count)), "asr": heard?.json ?? .null,
      "asr_of_references": heardOfReferences?.json ?? .null,
      "calibration": calibration?.json ?? .null,
    ]
    for (name, values) in measures { object[name] = values.json }
    return .object(object)
  }
}

/// Word and character error rates.
struct HearingSummary {
  let words: EditCount
  let characters: EditCount
  /// Word error rates of the sentences that have words.
  let rates: Distribution
  /// The mean of the rates, each at most 1: what a few runaways cannot spoil.
  let clipped: Double?

  /// Nil when nothing was heard.
  init?(_ hearings: [Hearing]) {
    guard !hearings.isEmpty else { return nil }
    words = hearings.reduce(EditCount()) { $0 + $1.words }
    characters = hearings.reduce(EditCount()) { $0 + $1.characters }
    let rates = hearings.compactMap(\.words.rate)
    self.rates = Distribution(rates)
    clipped = Distribution(rates.map { min(1, $0) }).mean
  }

  var json: JSON {
    .object([
      "words": .integer(Int64(words.length)),
      "substitutions": .integer(Int64(words.substitutions)),
      "deletions": .integer(Int64(words.deletions)),
      "insertions": .integer(Int64(words.insertions)), "wer": number(words.rate),
      "wer_clipped": number(clipped), "wer_of_sentences": rates.json,
      "cer": number(characters.rate),
    ])
  }
}
