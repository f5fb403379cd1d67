import Base
import Filters
import Records

/// One thing to say.
struct Utterance {
  /// What its record holds; of a text in several parts only the first.
  var record: Record
  /// Why it cannot be said.
  var failure: Failure?

  /// The voice that it asks for.
  var voice: String? { record.metadata["voice"] }

  /// The seed that it asks for.
  ///
  /// - Throws: `badInput` when it is no number.
  func seed() throws -> UInt64? {
    guard let text = record.metadata["seed"] else { return nil }
    guard let seed = UInt64(text) else {
      throw Failure.lineContent(
        "the seed '\(text)' is no whole number", remedy: "give 0 to 18446744073709551615")
    }
    return seed
  }
}

/// The utterances of the input, each with its text piece by piece. Used from one thread at a time.
final class Utterances: @unchecked Sendable {
  /// What they are read from.
  let input: RecordInput
  private var table: LineTable?
  /// Whether more parts of the last utterance follow.
  private var isOpen = false

  init(_ options: InputOptions, _ format: InputFormat) throws {
    input = try RecordInput(options, form: format.form)
    if format == .tsv || format == .jsonl { table = LineTable(format) }
  }

  /// The next utterance; nil at the end. What was not read of the last one is skipped.
  func next() throws -> Utterance? {
    while isOpen, try nextPart() != nil {}
    while let record = try input.next() {
      if table != nil {
        guard
          let utterance = try table?.utterance(record, path: input.path, number: input.line ?? 0)
        else { continue }
        return utterance
      }
      isOpen = !record.isLastPart
      return Utterance(record: record)
    }
    return nil
  }

  /// The next part of the last utterance; nil when there is no other.
  func nextPart() throws -> Record? {
    guard isOpen, let record = try input.next() else { return nil }
    isOpen = !record.isLastPart
    return record
  }

  /// More of the last utterance's text; nil when it is whole.
  func nextText() throws -> String? {
    // The text of a recording in parts stands on the first; that of a long line on all.
    while let part = try nextPart() {
      if let text = part.text { return text }
    }
    return nil
  }
}
