public import Base
public import Filters
public import ModelInterface
public import Records

/// One thing to say.
public struct Utterance: Sendable {
  /// What its record holds; of a text in several parts only the first.
  public var record: Record
  /// Why it cannot be said.
  public var failure: Failure?

  /// An utterance.
  public init(record: Record, failure: Failure? = nil) {
    self.record = record
    self.failure = failure
  }

  /// The voice that it asks for.
  public var voice: String? { record.metadata["voice"] }

  /// The seed that it asks for.
  ///
  /// - Throws: `badInput` when it is no number.
  public func seed() throws -> UInt64? {
    guard let text = record.metadata["seed"] else { return nil }
    guard let seed = UInt64(text) else {
      throw Failure.lineContent(
        "the seed '\(text)' is no whole number", remedy: "give 0 to 18446744073709551615")
    }
    return seed
  }
}

/// The utterances of the input, each with its text piece by piece. Used from one thread at a time.
public final class Utterances: @unchecked Sendable {
  /// What they are read from.
  public let input: RecordInput
  private var table: LineTable?
  /// Whether more parts of the last utterance follow.
  private var isOpen = false

  /// The utterances of the operands.
  ///
  /// - Throws: `noInput` if one of them cannot be read, before anything is.
  public init(_ options: InputOptions, _ format: InputFormat) throws {
    input = try RecordInput(options, form: format.form)
    if format == .tsv || format == .jsonl { table = LineTable(format) }
  }

  /// The next utterance; nil at the end. What was not read of the last one is skipped.
  public func next() throws -> Utterance? {
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
  public func nextPart() throws -> Record? {
    guard isOpen, let record = try input.next() else { return nil }
    isOpen = !record.isLastPart
    return record
  }

  /// More of the last utterance's text; nil when it is whole.
  public func nextText() throws -> String? {
    // The text of a recording in parts stands on the first; that of a long line on all.
    while let part = try nextPart() {
      if let text = part.text { return text }
    }
    return nil
  }
}

extension Voices {
  /// The voice of an utterance.
  ///
  /// - Parameter standard: for those that ask for none.
  /// - Throws: `badInput` when the one that it asks for cannot be had: the record's fault, not the run's.
  public func voice(of utterance: Utterance, otherwise standard: any Voice) throws -> any Voice {
    guard let name = utterance.voice else { return standard }
    do {
      return try voice(name)
    } catch let failure as Failure
      where [.usage, .badInput, .noInput, .configuration].contains(failure.kind)
    {
      throw Failure.voiceOfRecord(name, failure)
    }
  }
}
