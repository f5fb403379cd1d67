import Base
import Records

/// What an input of records may be.
public struct InputForm: Sendable {
  /// How text becomes records.
  public enum Text: Sendable {
    /// Each line that is not blank is a record `line-000001`, `line-000002` … through all inputs.
    case lines
    /// The same, but a line of any length is allowed: a long one comes as several parts, each with
    /// some of the text.
    case longLines
    /// Lines up to a blank one are a record `paragraph-000001` …; it comes as several parts, each
    /// with some of the text.
    case paragraphs
  }

  /// Whether record streams are read.
  public var acceptsRecords: Bool
  /// How text is read; nil where it is not.
  public var text: Text?

  /// A form. With both, the first bytes of an input tell what it is.
  public init(acceptsRecords: Bool, text: Text?) {
    self.acceptsRecords = acceptsRecords
    self.text = text
  }

  /// Record streams only.
  public static let records = InputForm(acceptsRecords: true, text: nil)
  /// Record streams, and text as lines.
  public static let recordsOrLines = InputForm(acceptsRecords: true, text: .lines)
}

/// Makes records of the lines of all inputs.
struct TextRecords {
  /// Bytes of text in a part of a long line.
  private static let partLength = 512

  let form: InputForm.Text
  /// Records made so far.
  private var count = 0
  /// The part that is due in the record that is open.
  private var part: Int?
  /// Whether the line of the last piece goes on.
  private var isInLine = false

  init(_ form: InputForm.Text) { self.form = form }

  /// The next record; nil at the end of the lines, where no record stays open.
  mutating func next(_ lines: TextLines) throws -> Record? {
    while true {
      let piece: (text: String, endsLine: Bool)? =
        form == .lines
        ? try lines.next().map { ($0, true) } : try lines.nextPiece(length: Self.partLength)
      guard let (text, endsLine) = piece else {
        guard part != nil else { return nil }
        return record("", isLast: true)
      }
      let isBlank =
        !isInLine && endsLine && !text.unicodeScalars.contains { !$0.properties.isWhitespace }
      isInLine = !endsLine
      switch form {
      case .lines, .longLines:
        if !isBlank { return record(text, isLast: endsLine) }
      case .paragraphs:
        if !isBlank { return record(endsLine ? text + "\n" : text, isLast: false) }
        if part != nil { return record("", isLast: true) }
      }
    }
  }

  private mutating func record(_ text: String, isLast: Bool) -> Record {
    if part == nil { count += 1 }
    let number = String(count)
    let prefix = form == .paragraphs ? "paragraph-" : "line-"
    var record = Record(
      id: prefix + String(repeating: "0", count: max(0, 6 - number.count)) + number)
    record.text = text
    if part != nil || !isLast {
      record.part = part ?? 0
      record.isLastPart = isLast
    }
    part = isLast ? nil : (part ?? 0) + 1
    return record
  }
}
