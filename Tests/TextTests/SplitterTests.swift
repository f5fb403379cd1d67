import Base
import Foundation
import Testing

@testable import Text

/// Texts that arrive in pieces and texts that are long.
@Suite struct SplitterTests {
  private static var folder: String {
    let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().path
    return (ProcessInfo.processInfo.environment["TTS_FIXTURES"] ?? here + "/Fixtures/PocketTTS")
      + "/text"
  }

  static let optionSets = [
    TextOptions(),
    TextOptions(
      removeSemicolons: true, replaceCharacters: ["\"": "", "\u{201C}": "", "\u{201D}": ""]),
    TextOptions(padShort: true, appendPunctuation: false, capitalize: false),
  ]

  private func tokenizer(_ suffix: String = "json") throws -> any Tokenizer {
    try loadTokenizer(path: "\(Self.folder)/tokenizer.\(suffix)")
  }

  /// All chunks of a text that is handed over in pieces.
  private func chunks(
    _ pieces: [String], _ tokenizer: any Tokenizer, _ options: TextOptions, shortest: Int = 256
  ) throws -> [TextChunk] {
    var splitter = try SentenceSplitter(
      tokenizer: tokenizer, options: options, maxTokens: 30, shortest: shortest)
    var rest = pieces[...]
    var chunks: [TextChunk] = []
    while let chunk = try splitter.next({ rest.popFirst() }) { chunks.append(chunk) }
    return chunks
  }

  /// Sentences with what makes boundaries hard: quotes, decimals, abbreviations, blank lines, commas
  /// after quotes, no capital letters.
  private func prose(_ count: Int, seed: UInt64) -> String {
    var random = RandomNumbers(seed: seed)
    let words = [
      "the", "garden", "Dr. Who", "yellow", "3.5", "went", "\u{C9}mile", "rain", "no. 7",
    ]
    let ends = [
      ". ", "! ", "? ", "... ", ".\n", ".\n\n", ".  ", ".\" ", "?\" ", "?\", ", "; ", " ?! ",
    ]
    return (0..<count).map { _ in
      let sentence = (0...random.index(below: 12)).map { _ in
        words[random.index(below: words.count)]
      }.joined(separator: random.index(below: 4) == 0 ? ", " : " ")
      let opened = random.index(below: 5) == 0 ? "\"" + sentence : sentence
      return opened + ends[random.index(below: ends.count)]
    }.joined()
  }

  @Test(arguments: ["json", "model"]) func stretchesChangeNothing(_ kind: String) throws {
    let tokenizer = try tokenizer(kind)
    for options in Self.optionSets {
      for seed in 0..<40 as Range<UInt64> {
        let text = prose(40, seed: seed)
        // One stretch, as the official package takes the text, and as many as can be.
        let whole = try chunks([text], tokenizer, options, shortest: .max / 4)
        let stretches = try chunks([text], tokenizer, options, shortest: 1)
        #expect(whole.count > 8)
        #expect(stretches == whole, "seed \(seed)")
      }
    }
  }

  @Test func piecesChangeNothing() throws {
    let tokenizer = try tokenizer()
    let text = prose(60, seed: 99)
    for options in Self.optionSets {
      let whole = try chunks([text], tokenizer, options)
      #expect(try chunks(text.unicodeScalars.map(String.init), tokenizer, options) == whole)
      let halves = [String(text.prefix(777)), "", String(text.dropFirst(777))]
      #expect(try chunks(halves, tokenizer, options) == whole)
    }
  }

  @Test func aChunkComesBeforeTheTextIsThere() throws {
    var splitter = try SentenceSplitter(tokenizer: tokenizer(), options: TextOptions())
    var given = 0
    let chunk = try splitter.next {
      given += 1
      return "It rained all day in the garden of the old house. "
    }
    #expect(chunk?.text.isEmpty == false)
    #expect(given < 20)
  }

  @Test func longTextsTakeTimeInProportion() throws {
    let tokenizer = try tokenizer()
    let clock = ContinuousClock()
    func time(_ text: String) throws -> (Double, Int) {
      var count = 0
      let duration = try clock.measure {
        count = try chunks([text], tokenizer, TextOptions()).count
      }
      return (
        Double(duration.components.attoseconds) * 1e-18 + Double(duration.components.seconds), count
      )
    }
    // Ordinary prose, and texts without any place to cut: one word, one sentence, other scripts.
    for unit in [
      prose(20, seed: 5), "aaaaaaaaaa", "on and on ", "\u{3042}\u{3044}\u{3046}\u{3002}",
    ] {
      let size = 40_000 / unit.count
      _ = try time(String(repeating: unit, count: 10))
      let (few, _) = try time(String(repeating: unit, count: size))
      let (many, count) = try time(String(repeating: unit, count: size * 8))
      #expect(count > 100)
      #expect(many < 24 * few + 0.2, "\(unit.prefix(10)): \(few) s, then \(many) s")
    }
  }

  @Test func nothingIsLostWithoutMarks() throws {
    let tokenizer = try tokenizer()
    let words = (0..<20_000).map { "word\($0)" }
    let made = try chunks([words.joined(separator: " ")], tokenizer, TextOptions())
    #expect(made.allSatisfy { $0.size <= SentenceSplitter.longestSentence })
    let text = made.map(\.text).joined(separator: " ")
    #expect(text.split(separator: " ").map { $0.lowercased() } == words.dropLast() + ["word19999."])
  }

  @Test func blankTextsAreRefused() throws {
    for text in ["", " \n ", "\u{201C}\u{201D}"] {
      #expect(throws: Failure.self) {
        try chunks([text], tokenizer(), Self.optionSets[1])
      }
    }
  }
}

@Suite struct PauseMarkTests {
  private func read(_ pieces: [String]) throws -> [MarkedText] {
    var marks = PauseMarks()
    var rest = pieces[...]
    var items: [MarkedText] = []
    while let item = try marks.next({ rest.popFirst() }) {
      if case .words(let more) = item, case .words(let words)? = items.last {
        items[items.count - 1] = .words(words + more)
      } else {
        items.append(item)
      }
    }
    return items
  }

  @Test func marksAreTakenOut() throws {
    let text = "  One [pause 0.5s] two,[pause 300ms][pause 2 s]three [pause 0s] "
    let expected: [MarkedText] = [
      .words("One "), .pause(seconds: 0.5), .words("two,"), .pause(seconds: 0.3),
      .pause(seconds: 2), .words("three "), .pause(seconds: 0),
    ]
    #expect(try read([text]) == expected)
    #expect(try read(text.unicodeScalars.map(String.init)) == expected)
    #expect(try read(["[pause 1s]"]) == [.pause(seconds: 1)])
    #expect(try read(["", " "]).isEmpty)
  }

  @Test func otherBracketsAreWords() throws {
    for text in ["[paused] for [1] a [pa", "[", "a [[ b ]", "[Pause 1s]", "x[paus"] {
      #expect(try read([text]) == [.words(text)])
      #expect(try read(text.unicodeScalars.map(String.init)) == [.words(text)])
    }
    #expect(try read(["[[pause 1s]"]) == [.words("["), .pause(seconds: 1)])
  }

  @Test func whatIsNoPauseIsRefused() throws {
    for mark in [
      "[pause]", "[pause 1]", "[pause one s]", "[pause -1s]", "[pause 1e3s]", "[pause 601s]",
      "[pause 1s", "[pause", "[pause 0.5s and then a long text without any bracket that closes it",
      "[pause 99999999999999999999999999999s]", "[pause\u{A0}1s]", "[pause 1min]",
    ] {
      #expect(throws: Failure.self, "\(mark)") { try read(["Hello. " + mark]) }
      do { _ = try read([mark]) } catch let failure as Failure {
        #expect(failure.kind == .badInput)
      }
    }
  }
}
