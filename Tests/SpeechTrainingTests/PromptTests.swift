import Base
import ModelInterface
import Records
import Safetensors
import Tensors
import TestSupport
import Testing

@testable import SpeechTraining
@testable import Training

/// Voice prompts from cuts, and what training varies.
@Suite struct PromptTests {
  private static let text = "One two, three four five six seven."

  /// Seven words, one a second from 0.2 s on, each 0.6 s long.
  private static func align(_ record: inout Record, unknown: Set<Int> = []) {
    record.text = text
    func times(_ first: Float) -> ArrayData {
      ArrayData((0..<7).map { unknown.contains($0) ? Float.nan : Float($0) + first })
    }
    record.arrays["word_starts"] = times(0.2)
    record.arrays["word_ends"] = times(0.8)
  }

  private static func words(unknown: Set<Int> = []) throws -> AlignedWords {
    var record = Record(id: "a")
    align(&record, unknown: unknown)
    return try #require(AlignedWords(record))
  }

  private func corpus(
    _ folder: ScratchFolder, ids: Range<Int> = 0..<1, frames: Int = 100, maxSeconds: Double = 30,
    change: (inout Record, Int) -> Void = { record, _ in align(&record) }
  ) throws -> Corpus {
    try writeShard(folder.file("a.ttsr"), ids: ids, frames: frames, change: change)
    return try Corpus(
      [folder.file("a.ttsr")], for: TinyTrainable(), maxSeconds: maxSeconds, name: "--train",
      onRecord: { _ in })
  }

  private func options(_ change: (inout ExampleOptions) -> Void) -> ExampleOptions {
    var options = ExampleOptions()
    change(&options)
    return options
  }

  private func examples(
    _ corpus: Corpus, _ options: ExampleOptions, utterance: Int = 0, count: Int = 200
  ) throws -> [TrainingExample] {
    try ExampleLoader(corpus, options).examples(
      (0..<count).map { .init(position: $0, utterance: utterance) }, seed: 4, variesPrompts: true)
  }

  @Test func cutsLieBetweenWordsWithTimes() throws {
    let words = try Self.words()
    func places(_ words: AlignedWords, _ duration: Double, _ window: Double) -> [Int] {
      words.cuts(duration: duration, window: window).map(\.word)
    }
    // The middle of each gap is on a whole second: the first and the last are a second from the ends.
    #expect(places(words, 7, .infinity) == [1, 2, 3, 4, 5, 6])
    #expect(
      words.cuts(duration: 7, window: .infinity).allSatisfy {
        abs($0.time - Double($0.word)) < 1e-6
      })
    #expect(places(words, 6.9, .infinity) == [1, 2, 3, 4, 5])
    // The word before ends inside of the window; else the earliest.
    #expect(places(words, 7, 3) == [1, 2, 3])
    #expect(places(words, 7, 0.5) == [1])
    #expect(places(words, 1.9, 5) == [])
    #expect(places(try Self.words(unknown: [2]), 7, .infinity) == [1, 4, 5, 6])
    #expect(places(try Self.words(unknown: Set(0..<7)), 7, .infinity) == [])
  }

  @Test func speechEndsWithTheLastSpokenWord() throws {
    #expect(try Self.words().endOfSpeech == Double(Float(6.8)))
    #expect(try Self.words(unknown: [6]).endOfSpeech == nil)
    var record = Record(id: "a")
    record.text = "Voilà « 1943 »"
    record.arrays["word_starts"] = ArrayData([0, .nan, 1, .nan] as [Float])
    record.arrays["word_ends"] = ArrayData([0.5, .nan, 2, .nan] as [Float])
    #expect(AlignedWords(record)?.endOfSpeech == 2)
    record.arrays["word_ends"] = ArrayData([0.5, .nan, .nan, .nan] as [Float])
    #expect(AlignedWords(record)?.endOfSpeech == nil)
    record.text = "Voilà"
    #expect(AlignedWords(record) == nil)
  }

  @Test func theTargetBeginsWhereThePromptEnds() throws {
    let folder = try ScratchFolder()
    let corpus = try corpus(folder)
    #expect(corpus.cuttable == 1)
    let whole = try examples(corpus, options { $0.promptSeconds = 0 }, count: 1)[0].latents
    let cutting = options {
      $0.prompts = .cut
      $0.promptSeconds = 4
    }
    let made = try examples(corpus, cutting)
    // Cuts at 1, 2, 3 and 4 s, rounded to frames.
    let frames = [1: 13, 2: 25, 3: 38, 4: 50]
    var seen: [Int: Int] = [:]
    for example in made {
      let voice = try #require(example.voice)
      let word = try #require(frames.first { $0.value == voice.rows }?.key)
      seen[word, default: 0] += 1
      #expect(voice.values == whole.rows(0..<voice.rows).values)
      // Until 0.2 s after the last word, which is at 6.8 s.
      #expect(example.latents.values == whole.rows(voice.rows..<87).values)
      let rest = Self.text.split(separator: " ")[word...].joined(separator: " ")
      #expect(example.tokens == (try TinyTokenizer().encode(rest)))
    }
    #expect(seen.count == 4 && seen.values.allSatisfy { $0 > 30 })
    // The draw is the position's own.
    let again = try ExampleLoader(corpus, cutting).examples(
      [.init(position: 77, utterance: 0)], seed: 4, variesPrompts: false)[0]
    #expect(again.voice?.values == made[77].voice?.values && again.tokens == made[77].tokens)
    // A window without a word: the earliest cut, the prompt no longer than the window.
    let short = try examples(
      corpus,
      options {
        $0.prompts = .cut; $0.promptSeconds = 0.5
      }, count: 1)
    #expect(short[0].voice?.rows == 6)
    #expect(short[0].latents.values == whole.rows(13..<87).values)
  }

  @Test func aLastWordWithoutATimeIsNotCutOff() throws {
    let folder = try ScratchFolder()
    let corpus = try corpus(folder) { record, _ in Self.align(&record, unknown: [6]) }
    let cutting = options {
      $0.prompts = .cut
      $0.promptSeconds = 4
    }
    for example in try examples(corpus, cutting, count: 20) {
      #expect(example.latents.rows + (example.voice?.rows ?? 0) == 100)
      #expect(example.tokens.suffix(6) == (try TinyTokenizer().encode("seven."))[...])
    }
  }

  @Test func whatCannotBeCutIsWhole() throws {
    let folder = try ScratchFolder()
    // 0: cut; 1: no times; 2: times that say nothing; 3: damaged times.
    let corpus = try corpus(folder, ids: 0..<4, frames: 100) { record, number in
      record.speaker = nil
      Self.align(&record, unknown: number == 2 ? Set(0..<7) : [])
      if number == 1 { record.arrays["word_starts"] = nil }
      if number == 3 {
        record.arrays["word_starts"] = ArrayData(
          [Float](repeating: -.greatestFiniteMagnitude, count: 7))
        record.arrays["word_ends"] = ArrayData(
          [Float](repeating: .greatestFiniteMagnitude, count: 7))
      }
    }
    #expect(corpus.cuttable == 1)
    for prompts in [PromptSource.cut, .auto] {
      for utterance in 1..<4 {
        let example = try examples(
          corpus, options { $0.prompts = prompts }, utterance: utterance, count: 1)[0]
        #expect(example.voice == nil && example.latents.rows == 100)
        #expect(example.tokens.count == 4)
      }
      #expect(try examples(corpus, options { $0.prompts = prompts }, count: 1)[0].voice != nil)
    }
    // Without a cut the target still ends with the speech.
    let short = try self.corpus(folder, frames: 24) { record, _ in
      record.text = "Hi there"
      record.arrays["word_starts"] = ArrayData([0, 0.5] as [Float])
      record.arrays["word_ends"] = ArrayData([0.4, 0.9] as [Float])
    }
    let example = try examples(short, options { $0.prompts = .cut }, count: 1)[0]
    #expect(example.voice == nil && example.latents.rows == 13)
  }

  @Test func autoPrefersTheSpeakersOtherUtterances() throws {
    let folder = try ScratchFolder()
    // Speakers 0, 1, 2, 0: only 0 has another.
    let corpus = try corpus(folder, ids: 0..<4)
    let auto = options { $0.prompts = .auto }
    let speaker = try examples(corpus, options { $0.prompts = .speaker }, count: 30)
    let own = try examples(corpus, auto, count: 30)
    #expect(own.map { $0.voice?.values } == speaker.map { $0.voice?.values })
    #expect(own.allSatisfy { $0.latents.rows == 100 && $0.tokens.count == 4 })
    let other = try examples(corpus, auto, utterance: 1, count: 30)
    #expect(other.allSatisfy { $0.voice != nil && $0.latents.rows < 87 })
    let cut = try examples(corpus, options { $0.prompts = .cut }, utterance: 1, count: 30)
    #expect(other.map(\.tokens) == cut.map(\.tokens))
    // Validation has prompts as long as they can be, and the same cuts each time.
    let loader = ExampleLoader(corpus, auto.plain)
    let held = try (0..<2).map { _ in
      try loader.examples(
        (0..<4).map { .init(position: $0, utterance: $0) }, seed: 0, variesPrompts: false)
    }
    #expect(held[0].map(\.tokens) == held[1].map(\.tokens))
    #expect(held[0][0].voice?.rows == 62)
  }

  @Test func cutsFollowTheLongestLength() throws {
    let folder = try ScratchFolder()
    let corpus = try corpus(folder, maxSeconds: 4.5)
    #expect(corpus.cut == 1 && corpus.cuttable == 1)
    // 3.8 + 0.2 s, a little less in 32 bits. The cut at 3 s is too near to the new end.
    #expect(corpus.utterances[0].frames == 49)
    for example in try examples(corpus, options { $0.prompts = .cut }, count: 50) {
      let voice = try #require(example.voice)
      #expect([13, 25].contains(voice.rows) && example.latents.rows == 49 - voice.rows)
      #expect(example.tokens.suffix(4) == (try TinyTokenizer().encode("four"))[...])
    }
  }

  @Test func theEndOfAPromptIsTrimmed() throws {
    let folder = try ScratchFolder()
    let corpus = try corpus(folder, ids: 0..<4)
    for prompts in [PromptSource.speaker, .cut] {
      let plain = try examples(corpus, options { $0.prompts = prompts })
      let trimmed = try examples(
        corpus,
        options {
          $0.prompts = prompts
          $0.promptTrim = 0.5
        })
      var dropped = Set<Int>()
      for (one, other) in zip(plain, trimmed) {
        let (voice, short) = (try #require(one.voice), try #require(other.voice))
        #expect(short.rows >= 12 && one.latents.rows == other.latents.rows)
        #expect(short.values == voice.rows(0..<short.rows).values)
        dropped.insert(voice.rows - short.rows)
      }
      #expect(dropped == Set(0...6))
    }
  }

  @Test func finalPeriodsAreDroppedAtTimes() throws {
    let folder = try ScratchFolder()
    let texts = ["A dog. ", "A dog?", ".", "A dog", "e.g. this.\n"]
    let corpus = try corpus(folder, ids: 0..<5) { record, number in
      record.text = texts[number]
      record.arrays["tokens"] = ArrayData(texts[number].utf8.map { Int32($0 % 10) })
    }
    let dropping = options { $0.periodDropout = 0.3 }
    for (number, text) in texts.enumerated() {
      let full = try TinyTokenizer().encode(text)
      let made = try examples(corpus, dropping, utterance: number, count: 1000).map(\.tokens)
      let changed = made.filter { $0 != full }
      if number == 0 || number == 4 {
        #expect((250...350).contains(changed.count))
        let short = try TinyTokenizer().encode(number == 0 ? "A dog" : "e.g. this")
        #expect(changed.allSatisfy { $0 == short })
      } else {
        #expect(changed.isEmpty)
      }
      #expect(
        try examples(corpus, dropping.plain, utterance: number, count: 50).allSatisfy {
          $0.tokens == full
        })
    }
    // The rest of a cut utterance has a period too.
    let cut = try self.corpus(folder)
    let all = try examples(
      cut,
      options {
        $0.prompts = .cut
        $0.periodDropout = 1
      }, count: 50)
    #expect(all.allSatisfy { $0.tokens.last == Int32(Array("n".utf8)[0] % 10) })
  }

  @Test func optionsNeedWhatTheyWorkOn() throws {
    let folder = try ScratchFolder()
    let plain = try corpus(folder, ids: 0..<2) { record, number in
      if number == 1 { record.text = nil }
    }
    func failure(_ change: (inout ExampleOptions) -> Void) -> Failure? {
      do {
        try plain.check(options(change), name: "--train")
        return nil
      } catch {
        return error as? Failure
      }
    }
    #expect(failure { $0.prompts = .auto } == nil)
    #expect(failure { $0.prompts = .cut }?.problem.contains("--prompts cut") == true)
    #expect(failure { $0.periodDropout = 0.1 }?.problem.hasPrefix("1 utterances") == true)
  }
}
