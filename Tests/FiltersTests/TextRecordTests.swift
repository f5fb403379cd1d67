import Base
import Records
import TestSupport
import Testing

@testable import Filters

@Suite struct TextRecordTests {
  let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  private func records(_ text: String, _ form: InputForm.Text) throws -> [Record] {
    try folder.write(text, to: "in.txt")
    let input = try RecordInput(
      paths: [folder.file("in.txt")], form: InputForm(acceptsRecords: false, text: form))
    var records: [Record] = []
    while let record = try input.next() { records.append(record) }
    return records
  }

  /// The texts by id, and whether parts are numbered as they must be.
  private func texts(_ records: [Record]) -> [String] {
    var texts: [String] = []
    var part = 0
    for record in records {
      #expect(record.part ?? 0 == part)
      if part == 0 { texts.append("") }
      texts[texts.count - 1] += record.text ?? ""
      part = record.isLastPart ? 0 : part + 1
    }
    #expect(part == 0)
    return texts
  }

  @Test func longLinesComeInParts() throws {
    let long = (0..<2000).map { "word\($0)" }.joined(separator: " ")
    let dense = String(repeating: "\u{E9}\u{3042}\u{1F600}x", count: 400)
    let blank = String(repeating: " ", count: 1000)
    let exact = String(repeating: "y", count: 512)
    for end in ["\n", "\r\n"] {
      for last in ["", end] {
        let lines = ["\u{FEFF}Short.", "", long, dense, "  ", exact, exact + "y", blank + "z"]
        let made = try records(lines.joined(separator: end) + last, .longLines)
        #expect(texts(made) == ["Short.", long, dense, exact, exact + "y", blank + "z"])
        #expect(made.allSatisfy { ($0.text ?? "").utf8.count <= 512 })
        #expect(made.first?.part == nil)
        #expect(made.last?.id == "line-000006")
      }
    }
    #expect(try records("", .longLines).isEmpty)
    // A piece ends at a blank where there is one.
    #expect(try records(long, .longLines).first?.text?.last == " ")
  }

  @Test func paragraphsAreApartByBlankLines() throws {
    let made = try records("\n\nOne\ntwo.\n \t\nThree.\n\n\n\nFour\n", .paragraphs)
    #expect(texts(made) == ["One\ntwo.\n", "Three.\n", "Four\n"])
    #expect(made.last?.id == "paragraph-000003")
    #expect(texts(try records("Only", .paragraphs)) == ["Only\n"])
    #expect(try records("\n\n", .paragraphs).isEmpty)
  }

  @Test func linesOfTheOldKindHaveALimit() throws {
    #expect(throws: Failure.self) {
      try records(String(repeating: "x", count: 1 << 20 + 1), .lines)
    }
    #expect(texts(try records("a\n\nb", .lines)) == ["a", "b"])
  }

  @Test func whatIsNoUTF8IsRefused() throws {
    try folder.write([UInt8](repeating: 0x80, count: 2000), to: "bytes.txt")
    let input = try RecordInput(
      paths: [folder.file("bytes.txt")], form: InputForm(acceptsRecords: false, text: .longLines))
    #expect(throws: Failure.self) { try input.next() }
  }
}
