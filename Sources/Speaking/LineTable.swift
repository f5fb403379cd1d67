import Base
import Records

/// Lines that hold more than text: tab-separated values under a header line, or JSON objects.
struct LineTable {
  /// What a line may say.
  static let columns = ["id", "text", "voice", "seed", "speaker", "language"]

  let format: InputFormat
  /// The file whose header was read, and its columns.
  private var header: (path: String, columns: [String])?
  private var rows = 0

  init(_ format: InputFormat) { self.format = format }

  /// The utterance of a line; nil for a header.
  ///
  /// - Parameters:
  ///   - line: the line as a record.
  ///   - number: its number in the file.
  /// - Throws: `badInput` for a header that cannot be used.
  mutating func utterance(_ line: Record, path: String, number: Int) throws -> Utterance? {
    let text = line.text ?? ""
    if format == .tsv, header?.path != path || number == 1 {
      header = (path, try Self.columns(of: text, path: path, number: number))
      return nil
    }
    rows += 1
    let row = String(rows)
    let name = "line-" + String(repeating: "0", count: max(0, 6 - row.count)) + row
    do {
      var record = Record(id: name)
      let values =
        format == .tsv ? try values(of: text) : try Self.values(ofJSON: text)
      for (key, value) in values { record.metadata[key] = value }
      guard Record.isValid(id: record.id) else {
        throw Failure.lineContent("'\(record.id)' is no id", remedy: "ids have no blanks")
      }
      return Utterance(record: record)
    } catch var failure as Failure {
      var record = Record(id: name)
      record.text = text
      failure.subject = path
      failure.problem = "line \(number): \(failure.problem)"
      return Utterance(record: record, failure: failure)
    }
  }

  private static func columns(of line: String, path: String, number: Int) throws -> [String] {
    let names = fields(line)
    func fail(_ problem: String) -> Failure {
      Failure(
        .badInput, subject: path, problem: "line \(number): \(problem)",
        remedy: "the first line names the columns: text, and any of id, voice, seed, speaker, "
          + "language, with tabs between them")
    }
    for (index, name) in names.enumerated() {
      guard columns.contains(name) else { throw fail("unknown column '\(name)'") }
      guard !names[..<index].contains(name) else { throw fail("column '\(name)' comes twice") }
    }
    guard names.contains("text") else { throw fail("no column 'text'") }
    return names
  }

  private static func fields(_ line: String) -> [String] {
    line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
  }

  /// The values of a line, empty ones left out.
  private func values(of line: String) throws -> [(String, String)] {
    let columns = header?.columns ?? []
    let values = Self.fields(line)
    guard values.count == columns.count else {
      throw Failure.lineContent(
        "\(values.count) fields for \(columns.count) columns",
        remedy: "give each line as many fields as the header, with tabs between them")
    }
    return zip(columns, values).filter { !$0.1.isEmpty }
  }

  private static func values(ofJSON line: String) throws -> [(String, String)] {
    guard let json = try? JSON.parse(text: line), let members = json.object else {
      throw Failure.lineContent("not a JSON object", remedy: "give one object a line")
    }
    return try members.sorted { $0.key < $1.key }.compactMap { key, value in
      guard columns.contains(key) else {
        throw Failure.lineContent(
          "unknown key '\(key)'", remedy: "keys are \(columns.joined(separator: ", "))")
      }
      if case .null = value { return nil }
      if key == "seed", let number = value.integer { return (key, "\(number)") }
      guard let text = value.string else {
        throw Failure.lineContent("'\(key)' is not a string", remedy: "put it in quotes")
      }
      return text.isEmpty ? nil : (key, text)
    }
  }
}
