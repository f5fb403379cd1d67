import Base
import Foundation
import Records
import Safetensors
import TestSupport
import Testing

@Suite(.enabled(if: isBuilt("tts-tokenize"))) struct TokenizeTests {
  let folder: ScratchFolder
  let file = fixture("PocketTTS/text/tokenizer.json")

  init() throws { folder = try ScratchFolder() }

  func tokenize(_ arguments: [String], input: [UInt8]? = nil) throws -> ProcessResult {
    try runTool("tts-tokenize", arguments, input: input, directory: folder.path)
  }

  func tokens(_ record: Record) throws -> [Int32]? { try record.arrays["tokens"]?.int32s() }

  /// The texts and tokens of the recorded cases.
  func cases(_ kind: String) throws -> [(text: String, ids: [Int32])] {
    let bytes = try #require(
      FileManager.default.contents(atPath: fixture("PocketTTS/text/cases.json")))
    let cases = try #require(JSON.parse(Array(bytes))["cases"]?.array)
    return cases.compactMap { test in
      guard let text = test["text"]?.string, let ids = test["ids"]?[kind]?.array else { return nil }
      return (text, ids.compactMap { $0.integer.map(Int32.init) })
    }
  }

  @Test(arguments: [("sentencepiece", "model"), ("tokenizers", "json")])
  func recordsGetTheOfficialTokens(kind: String, suffix: String) throws {
    let cases = try cases(kind)
    try writeStream(
      cases.enumerated().map { makeTextRecord(id: "r\($0)", text: $1.text) },
      to: folder.file("in.ttsr"))
    let result = try tokenize([
      "--tokenizer", fixture("PocketTTS/text/tokenizer.\(suffix)"), "--max-rejected", "50%",
      "in.ttsr",
    ])
    #expect(result.code == 0, "\(result.errors)")
    let made = try readStream(result.output)
    #expect(made.count == cases.count)
    for (record, test) in zip(made, cases) {
      let isBlank = !test.text.unicodeScalars.contains { !$0.properties.isWhitespace }
      #expect(record.isRejected == isBlank)
      #expect(try isBlank || tokens(record) == test.ids, "\(test.text.debugDescription)")
      #expect(record.text.map { Array($0.utf8) } == Array(test.text.utf8))
    }
  }

  @Test func blankAndMissingTextsAreRejected() throws {
    var silent = makeTextRecord(id: "c")
    silent.text = nil
    try writeStream(
      [makeTextRecord(id: "a"), makeTextRecord(id: "b", text: " \n"), silent],
      to: folder.file("in.ttsr"))
    let result = try tokenize(["--tokenizer", file, "in.ttsr", "-o", "out.ttsr"])
    #expect(result.code == 0, "\(result.errors)")
    let made = try readStream(folder.file("out.ttsr"))
    #expect(
      made.map(\.rejections) == [
        [], ["tts-tokenize: empty transcript"], ["tts-tokenize: no text"],
      ])
    #expect(try tokens(made[0])?.isEmpty == false)
    #expect(try tokens(made[1]) == nil)
    let strict = try tokenize(["--tokenizer", file, "in.ttsr", "--on-error", "fail"])
    #expect(strict.code == 65)
    #expect(
      strict.errors == "tts-tokenize: in.ttsr: record 'b': empty transcript; mend the transcript\n")
  }

  @Test func theFirstPartHasTheTokens() throws {
    try writeStream(
      makeParts(id: "long", parts: 3, secondsEach: 0.1), to: folder.file("in.ttsr"))
    let result = try tokenize(["--tokenizer", file, "in.ttsr"])
    #expect(result.code == 0, "\(result.errors)")
    let made = try readStream(result.output)
    #expect(made.map { $0.arrays["tokens"] != nil } == [true, false, false])
    #expect(!made.contains { $0.isRejected })
  }

  @Test func linesBecomeRecords() throws {
    try folder.write("Hello there.\r\n\nDr. Smith", to: "lines.txt")
    let result = try tokenize(["--tokenizer", file, "lines.txt", "-"], input: Array("One\n".utf8))
    #expect(result.code == 0, "\(result.errors)")
    let made = try readStream(result.output)
    #expect(made.map(\.id) == ["line-000001", "line-000002", "line-000003"])
    #expect(made.map(\.text) == ["Hello there.", "Dr. Smith", "One"])
    #expect(!made.contains { $0.isRejected })
  }

  @Test func whatIsNeitherTextNorStreamIsRefused() throws {
    try folder.write([0xFF, 0xFE, 0x41, 0, 0x0A, 0], to: "utf16.txt")
    try folder.write("text", to: "text.ttsr")
    for (arguments, input, code) in [
      (["utf16.txt"], nil, 65), (["text.ttsr"], nil, 65), ([], [], 74),
      ([], Array("P".utf8) + [0x2A, 0x4D, 0x18], 74), (["missing.txt"], nil, 66),
    ] as [([String], [UInt8]?, Int32)] {
      let result = try tokenize(["--tokenizer", file, "-o", "out.ttsr"] + arguments, input: input)
      #expect(result.code == code, "\(arguments): \(result.errors)")
      #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
      #expect(!folder.has("out.ttsr"))
    }
  }

  @Test func tokenizersThatCannotBeUsedAreRefused() throws {
    let model = try #require(
      FileManager.default.contents(atPath: fixture("PocketTTS/text/tokenizer.model")))
    try folder.write(Array(model.prefix(model.count / 2)), to: "cut.model")
    try folder.write(#"{"hello": 1}"#, to: "other.json")
    try folder.write("Hello.", to: "text.model")
    for (name, code) in [
      ("cut.model", 78), ("other.json", 78), ("text.model", 78), ("missing.model", 66), (".", 66),
    ] as [(String, Int32)] {
      let result = try tokenize(["--tokenizer", name], input: Array("Hello.\n".utf8))
      #expect(result.code == code, "\(name): \(result.errors)")
      #expect(result.errors.hasPrefix("tts-tokenize: \(name): "), "\(result.errors)")
      #expect(result.errors.split(separator: "\n").count == 1)
    }
  }

  @Test func oneTokenizerIsNeeded() throws {
    #expect(try tokenize([], input: []).code == 64)
    #expect(try tokenize(["--tokenizer", file, "--model", "x"], input: []).code == 64)
  }

  @Test(.enabled(if: hasFixture("PocketTTS/lsd/config.yaml"))) func aModelHasItsTokenizer() throws {
    let lines = Array("Hello there.\n".utf8)
    let model = fixture("PocketTTS/lsd")
    let direct = try tokenize(["--tokenizer", "\(model)/tokenizer.json"], input: lines)
    let through = try tokenize(["--model", model], input: lines)
    #expect(through.code == 0, "\(through.errors)")
    #expect(through.output == direct.output)

    // A table of another size than the tokenizer.
    for name in ["tokenizer.json", "model.safetensors"] {
      try FileManager.default.createSymbolicLink(
        atPath: folder.file(name), withDestinationPath: "\(model)/\(name)")
    }
    let yaml = try String(contentsOfFile: "\(model)/config.yaml", encoding: .utf8)
    try folder.write(
      yaml.replacingOccurrences(
        of: "n_bins: [0-9]+", with: "n_bins: 77", options: .regularExpression),
      to: "config.yaml")
    let wrong = try tokenize(["--model", folder.path], input: lines)
    #expect(wrong.code == 78)
    #expect(wrong.errors.contains("77"), "\(wrong.errors)")
  }

  @Test func trainingMakesATokenizer() throws {
    let words = ["one", "two", "three", "garden", "yellow", "birds", "singing", "rain", "falls"]
    let texts = (0..<300).map { index in
      (0..<6).map { words[(index * 7 + $0 * (index % 5 + 1)) % words.count] }.joined(separator: " ")
        + ". \(index)"
    }
    try folder.write(texts.joined(separator: "\n"), to: "lines.txt")
    var rejected = makeTextRecord(id: "bad", text: String(repeating: "Z", count: 2000))
    rejected.reject("tts-vad: no speech")
    try writeStream(
      texts.enumerated().map { makeTextRecord(id: "r\($0)", text: $1) } + [rejected],
      to: folder.file("in.ttsr"))
    for (name, input, threads) in [("a", "lines.txt", "1"), ("b", "in.ttsr", "4")] {
      let result = try tokenize([
        "train", input, "-o", "\(name).model", "--vocab-size", "290", "-T", threads,
        "--report", "report.json",
      ])
      #expect(result.code == 0, "\(result.errors)")
      #expect(result.output.isEmpty)
      let report = try JSON.parse(folder.read("report.json"))
      #expect(report["counts"]?["texts used"]?.integer == 300)
    }
    #expect(try folder.read("a.model") == folder.read("b.model"))
    let used = try tokenize(["--tokenizer", "a.model"], input: Array("yellow birds\n".utf8))
    #expect(used.code == 0, "\(used.errors)")
    let made = try readStream(used.output)
    let ids = try #require(try tokens(made[0]))
    #expect(ids.allSatisfy { (260..<290).contains($0) })
  }

  @Test func trainingThatCannotWorkLeavesNothing() throws {
    let few = Array("Hello there.\n".utf8)
    for (arguments, code) in [
      ([], 78), (["--vocab-size", "100"], 64), (["--character-coverage", "7"], 64),
      (["--type", "word"], 64), (["missing.txt"], 66),
    ] as [([String], Int32)] {
      let result = try tokenize(["train", "-o", "out.model"] + arguments, input: few)
      #expect(result.code == code, "\(arguments): \(result.errors)")
      #expect(try folder.names().isEmpty, "\(arguments)")
    }
    #expect(try tokenize(["train"], input: few).code == 64)
  }
}
