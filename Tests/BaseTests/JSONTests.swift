import Base
import Foundation
import Testing

@Suite struct JSONTests {
  @Test(arguments: [
    #"{"a":1,"b":[true,false,null],"c":"x\n\"\\\u0001é😀"}"#, "[]", "{}", #""""#, "-12", "0.5",
    "1e+16", "1.5e-07", "9223372036854775807", "-9223372036854775808", "[[[[1.0]]]]",
  ])
  func canonicalTextIsKept(_ text: String) throws {
    #expect(try JSON.parse(text: text).canonicalText == text)
  }

  @Test(arguments: [
    "", " ", "{", "[", "[1", "[1,]", "{\"a\":1,}", "{\"a\"}", "{\"a\":}", "{a:1}", "01", "1.", ".5",
    "+1", "1e", "-", "nul", "tru", "\"", "\"\\x\"", "\"\\u12\"", #""\ud800""#, #""\udc00""#,
    #""\ud800\u0041""#, "\"\u{1}\"", "{\"a\":1,\"a\":2}", "1 2", "[1]]", "1e999", "NaN", "Infinity",
    "\u{FEFF}1", String(repeating: "[", count: 100) + String(repeating: "]", count: 100),
  ])
  func wrongTextIsRefused(_ text: String) {
    #expect { try JSON.parse(text: text) } throws: { ($0 as? Failure)?.kind == .badInput }
  }

  @Test func invalidUTF8IsRefused() {
    for bytes: [UInt8] in [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82]] {
      #expect(throws: Failure.self) { try JSON.parse([0x22] + bytes + [0x22]) }
      #expect(throws: Failure.self) { try JSON.parse([0x22, 0x5C, 0x6E] + bytes + [0x22]) }
    }
  }

  @Test func escapesAreRead() throws {
    let value = try JSON.parse(text: #" { "k" : "\u00e9\ud83d\ude00\/\b\f\r\t" } "#)
    #expect(value["k"]?.string == "é😀/\u{8}\u{C}\r\t")
  }

  @Test func keysAreSortedByCodePoint() {
    let value: JSON = ["é": 1, "z": 2, "Z": 3, "\u{FFFD}": 4, "😀": 5, "": 6]
    #expect(value.canonicalText == "{\"\":6,\"Z\":3,\"z\":2,\"é\":1,\"\u{FFFD}\":4,\"😀\":5}")
  }

  /// Writes as Python does, on numbers and texts of all kinds.
  @Test func agreesWithPython() throws {
    var random = RandomNumbers(seed: 7, name: "json")
    var values: [JSON] = [
      .number(1e16), .number(12_345_678_901_234_568), .number(9_999_999_999_999_998),
      .number(-1e17),
      .number(0.0001), .number(0.00001), .number(1e22), .number(Double.leastNonzeroMagnitude),
      .number(0.1), .number(-0.0),
      .number(1.7976931348623157e308), .number(17_000_000_000_000_000), .number(100),
    ]
    for _ in 0..<2000 {
      let number = Double(bitPattern: random.next())
      if number.isFinite { values.append(.number(number)) }
      values.append(.number(Double(random.next()) / 1000))
    }
    for scalar in (0..<0x300).compactMap({ Unicode.Scalar($0) }) {
      values.append(.string("a" + String(scalar) + "b"))
    }
    let mine = JSON.array(values).canonicalBytes
    let script = """
      import json, sys
      data = sys.stdin.buffer.read()
      sys.stdout.buffer.write(json.dumps(json.loads(data), sort_keys=True, ensure_ascii=False,
        separators=(',', ':')).encode())
      """
    let theirs = try runPython(script, input: mine)
    let lines = mine.split(separator: UInt8(ascii: ",")).map { String(decoding: $0, as: UTF8.self) }
    let others = theirs.split(separator: UInt8(ascii: ",")).map {
      String(decoding: $0, as: UTF8.self)
    }
    let difference = zip(lines, others).first { $0 != $1 }
    #expect(difference == nil && lines.count == others.count)
    let again = try JSON.parse(mine).canonicalBytes == mine
    #expect(again)
  }

  private func runPython(_ script: String, input: [UInt8]) throws -> [UInt8] {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["python3", "-c", script]
    let (stdin, stdout) = (Pipe(), Pipe())
    process.standardInput = stdin
    process.standardOutput = stdout
    try process.run()
    DispatchQueue.global().async {
      stdin.fileHandleForWriting.write(Data(input))
      try? stdin.fileHandleForWriting.close()
    }
    let output = stdout.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return Array(output)
  }
}
