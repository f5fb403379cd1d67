import Base
import Testing

@testable import Text

/// Sentences that are all different, from a few words.
private func sentences(_ count: Int) -> [String] {
  let words = [
    "the", "quick", "brown", "fox", "jumps", "over", "lazy", "dog", "and", "sees", "seventeen",
    "yellow", "birds", "singing", "in", "old", "garden", "trees", "while", "rain", "falls",
  ]
  return (0..<count).map { index in
    var state = UInt64(index) &* 0x9E37_79B9_7F4A_7C15
    let chosen = (0..<8).map { _ -> String in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return words[Int(state >> 33) % words.count]
    }
    return chosen.joined(separator: " ") + (index % 3 == 0 ? "?" : ".") + " \(index)"
  }
}

private func train(_ options: TokenizerTraining, _ texts: [String]) throws -> TrainedTokenizer {
  var iterator = texts.makeIterator()
  return try trainTokenizer(options) { iterator.next() }
}

@Test(arguments: TokenizerTraining.ModelType.allCases)
func trainedModelsEncodeAndRepeat(type: TokenizerTraining.ModelType) throws {
  let options = TokenizerTraining(vocabularySize: 330, type: type)
  let texts = sentences(400) + ["", "  ", String(repeating: "x", count: 5000)]
  let trained = try train(options, texts)
  #expect(trained.sentences == 400)
  #expect(trained.skipped == 3)
  #expect(try train(options, texts).model == trained.model)

  let tokenizer = try SentencePieceTokenizer(trained.model)
  #expect(tokenizer.size == 330)
  for text in ["the quick brown fox.", "  two  spaces ", "caf\u{E9} \u{4E2D}\t\u{1F600}", ""] {
    let ids = try tokenizer.encode(text)
    #expect(ids.allSatisfy { $0 >= 4 && $0 < 330 })
    #expect(try tokenizer.decode(ids) == text)
  }
  // The official layout: unknown, control and padding pieces, then the bytes.
  #expect(try tokenizer.encode("\t").last == 4 + 9)
}

@Test func trainingRefusesWhatCannotWork() throws {
  #expect(throws: Failure.self) { try train(TokenizerTraining(vocabularySize: 260), ["a"]) }
  #expect(throws: Failure.self) { try train(TokenizerTraining(characterCoverage: 2), ["a"]) }
  for type in TokenizerTraining.ModelType.allCases {
    for texts in [[], ["a"], ["hello there"], sentences(20)] {
      #expect(throws: Failure.self, "\(type), \(texts.count)") {
        try train(TokenizerTraining(vocabularySize: 4000, type: type), texts)
      }
      #expect(throws: Failure.self, "\(type), \(texts.count)") {
        try train(TokenizerTraining(vocabularySize: 261, type: type), texts)
      }
    }
  }
}

@Test func errorsOfTheSourceEndTraining() throws {
  struct Broken: Error {}
  #expect(throws: Broken.self) { try trainTokenizer(TokenizerTraining()) { throw Broken() } }
}
