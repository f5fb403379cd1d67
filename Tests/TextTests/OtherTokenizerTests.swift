import Base
import Foundation
import Testing

@testable import Text

/// The folder of fixtures that `Tests/Parity/tokenizers_other.py` writes.
let otherFixtures =
  URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  .deletingLastPathComponent().path + "/Fixtures/Text"

func fixtureBytes(_ name: String) throws -> [UInt8] {
  try Array(Data(contentsOf: URL(fileURLWithPath: otherFixtures + "/" + name)))
}

private let files = [
  "mapped.model", "bpe.model", "symbols.model", "no_bytes.model", "suffix.model", "char.model",
  "mapped.json", "bpe.json", "bpe_whole.json", "bpe_unknown.json", "bpe_fused.json", "nfkc.json",
  "accents.json", "bare.json",
]

@Test(arguments: files) func otherTokenizersSayWhatTheirLibrariesSay(file: String) throws {
  let root = try JSON.parse(fixtureBytes("cases.json"))
  let texts = try #require(root["texts"]?.stringElements)
  let expected = try #require(root["files"]?[file])
  let tokenizer = try loadTokenizer(path: otherFixtures + "/" + file)
  #expect(tokenizer.size == expected["size"]?.integer)
  let ids = try #require(expected["ids"]?.array).map { try #require($0.ids) }
  let decoded = try #require(expected["decoded"]?.stringElements)
  #expect(ids.count == texts.count && decoded.count == texts.count)
  for ((text, ids), decoded) in zip(zip(texts, ids), decoded) {
    #expect(try tokenizer.encode(text) == ids, "\(text.debugDescription)")
    #expect(
      try Array(tokenizer.decode(ids).utf8) == Array(decoded.utf8), "\(text.debugDescription)")
  }
  for pair in try #require(expected["decode"]?.array) {
    let ids = try #require(pair.array?.first?.ids)
    let text = try #require(pair.array?.last?.string)
    #expect(try Array(tokenizer.decode(ids).utf8) == Array(text.utf8), "\(ids)")
  }
}

@Test func ownAndLibraryUnigramAgreeWhereNothingTies() throws {
  let texts = try #require(JSON.parse(fixtureBytes("cases.json"))["texts"]?.stringElements)
  for file in ["mapped.model", "no_bytes.model"] {
    let tokenizer = try SentencePieceTokenizer(fixtureBytes(file))
    for text in texts where !text.hasPrefix("aaaa") && !text.hasPrefix("xxxx") {
      #expect(
        try tokenizer.encode(text) == tokenizer.encodeInLibrary(text),
        "\(file): \(text.debugDescription)")
    }
  }
}

@Test func piecesThatLookTheSameAreDifferent() throws {
  let json = #"""
    {"model": {"type": "BPE", "unk_token": "?", "vocab": {"?": 0, "\u00e9": 1, "e\u0301": 2,
    "e": 3, "\u0301": 4, "x": 5, "\"": 6, "x\"": 7}, "merges": [["e", "\u0301"], ["x", "\""]]}}
    """#
  let tokenizer = try makeTokenizer(Array(json.utf8))
  #expect(tokenizer.size == 8)
  #expect(try tokenizer.encode("\u{E9}e\u{301}x\"y") == [1, 2, 7, 0])
  #expect(try Array(tokenizer.decode([2]).utf8) == Array("e\u{301}".utf8))
}
