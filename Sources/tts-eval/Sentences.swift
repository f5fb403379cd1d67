import Base
import Filters
import Records
import Speaking

/// One sentence, and what its record has of a recording of it.
struct Sentence: Sendable {
  var utterance: Utterance
  /// The parts that hold audio or latents, in order.
  var parts: [Record] = []

  var id: String { utterance.record.id }
  /// All of the text.
  var text: String { utterance.record.text ?? "" }
  /// Bytes in memory.
  var byteCount: Int { parts.reduce(utterance.record.byteCount) { $0 + $1.byteCount } }
}

/// The sentences of the input. Used from one thread at a time.
struct Sentences: Sendable {
  /// Bytes of a sentence at most.
  private static let longestText = 1 << 16
  /// Seconds of a reference at most.
  private static let longestReference = 120.0

  private let utterances: Utterances
  private var ids: Set<String> = []
  /// Records that were rejected before, and left out.
  private(set) var leftOut = 0

  init(_ utterances: Utterances) { self.utterances = utterances }

  /// The next sentence; nil at the end.
  mutating func next() throws -> Sentence? {
    while let utterance = try utterances.next() {
      guard !utterance.record.isRejected else {
        leftOut += 1
        continue
      }
      var sentence = Sentence(utterance: utterance)
      if !ids.insert(sentence.id).inserted {
        sentence.utterance.failure = sentence.utterance.failure ?? .idTwice()
      }
      try gather(&sentence)
      sentence.utterance.record.arrays = [:]
      return sentence
    }
    return nil
  }

  /// Adds the text and the recording of all parts. Too much of either is read and dropped.
  private func gather(_ sentence: inout Sentence) throws {
    var part: Record? = sentence.utterance.record
    var text = ""
    var seconds = 0.0
    while let record = part {
      text += record.text ?? ""
      seconds += record.seconds ?? 0
      if text.utf8.count > Self.longestText {
        text = String(text.prefix(1000))
        sentence.utterance.failure =
          sentence.utterance.failure ?? .sentenceTooLong(limit: Self.longestText)
      }
      if seconds > Self.longestReference {
        sentence.parts = []
        sentence.utterance.failure =
          sentence.utterance.failure ?? .referenceTooLong(seconds: Self.longestReference)
      }
      if sentence.utterance.failure == nil,
        record.arrays["audio"] != nil || record.arrays["latents"] != nil
      {
        var kept = record
        kept.arrays = kept.arrays.filter { ["audio", "latents"].contains($0.key) }
        sentence.parts.append(kept)
      }
      part = try utterances.nextPart()
    }
    while text.last?.isNewline == true { text.removeLast() }
    sentence.utterance.record.text = text
    if text.allSatisfy(\.isWhitespace) {
      sentence.utterance.failure = sentence.utterance.failure ?? .noText()
    }
  }
}
