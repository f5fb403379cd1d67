import Base
import Foundation
import TestSupport
import Testing

@testable import Text

/// What the official package says to 200 awkward texts.
private struct Fixture {
  let folder: String
  let root: JSON

  init() throws {
    folder = fixture("PocketTTS/text")
    let data = try Data(contentsOf: URL(fileURLWithPath: folder + "/cases.json"))
    root = try JSON.parse(Array(data))
  }

  var tokenizers: [(String, any Tokenizer)] {
    get throws {
      [
        ("sentencepiece", try loadTokenizer(path: folder + "/tokenizer.model")),
        ("tokenizers", try loadTokenizer(path: folder + "/tokenizer.json")),
      ]
    }
  }

  var options: [TextOptions] {
    get throws {
      try #require(root["options"]?.array).map { json in
        TextOptions(
          padShort: json["pad_with_spaces_for_short_inputs"]?.bool ?? false,
          removeSemicolons: json["remove_semicolons"]?.bool ?? false,
          appendPunctuation: json["append_terminal_punctuation"]?.bool ?? true,
          capitalize: json["capitalize_first_letter"]?.bool ?? true,
          replaceCharacters: try TextOptions.replacements(
            json["replace_characters"]?.stringMembers ?? [:]))
      }
    }
  }

  var cases: [JSON] { root["cases"]?.array ?? [] }
}

extension JSON {
  var ids: [Int32]? { array?.compactMap { $0.integer.map(Int32.init) } }
}

@Test func sizesAndMarksAreTheOfficialOnes() throws {
  let fixture = try Fixture()
  for (name, tokenizer) in try fixture.tokenizers {
    #expect(tokenizer.size == fixture.root["pieces"]?.integer)
    let marks = fixture.root["marks"]?[name]
    #expect(try Array(tokenizer.encode(".!...?").dropFirst()) == marks?["sentence"]?.ids)
    #expect(try Array(tokenizer.encode(",;:").dropFirst()) == marks?["clause"]?.ids)
  }
}

@Test func tokensAreTheOfficialOnes() throws {
  let fixture = try Fixture()
  #expect(fixture.cases.count >= 200)
  for (name, tokenizer) in try fixture.tokenizers {
    for test in fixture.cases {
      let text = try #require(test["text"]?.string)
      let ids = try #require(test["ids"]?[name]?.ids)
      #expect(try tokenizer.encode(text) == ids, "\(name): \(text.debugDescription)")
      let decoded = try #require(test["decoded"]?[name]?.string)
      #expect(
        try Array(tokenizer.decode(ids).utf8) == Array(decoded.utf8),
        "\(name): \(text.debugDescription)")
    }
    for test in fixture.root["decode"]?.array ?? [] {
      let ids = try #require(test["ids"]?.ids)
      let decoded = try #require(test[name]?.string)
      #expect(try Array(tokenizer.decode(ids).utf8) == Array(decoded.utf8), "\(name): \(ids)")
    }
  }
}

@Test func preparedTextIsTheOfficialOne() throws {
  let fixture = try Fixture()
  let options = try fixture.options
  for test in fixture.cases {
    let text = try #require(test["text"]?.string)
    let expected = try #require(test["prepared"]?.array)
    for (options, expected) in zip(options, expected) {
      guard let pair = expected.array else {
        #expect(throws: Failure.self) { try prepareText(text, options: options) }
        continue
      }
      let prepared = try prepareText(text, options: options)
      #expect(Array(prepared.text.utf8) == pair[0].string.map { Array($0.utf8) })
      #expect(prepared.frameGuess == pair[1].integer)
    }
  }
}

@Test func chunksAreTheOfficialOnes() throws {
  let fixture = try Fixture()
  let options = try fixture.options
  let limits = try #require(fixture.root["max_tokens"]?.array).compactMap(\.integer)
  for (name, tokenizer) in try fixture.tokenizers {
    for test in fixture.cases {
      let text = try #require(test["text"]?.string)
      for (options, expected) in zip(options, test["chunks"]?[name]?.array ?? []) {
        guard let expected = expected.array else { continue }
        for (limit, expected) in zip(limits, expected) {
          let chunks = try splitSentences(
            text, tokenizer: tokenizer, options: options, maxTokens: limit)
          #expect(
            chunks.map { Array($0.utf8) } == expected.stringElements?.map { Array($0.utf8) },
            "\(name), \(limit): \(text.debugDescription)")
        }
      }
    }
  }
}
