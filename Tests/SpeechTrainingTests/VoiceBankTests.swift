import Base
import ModelInterface
import Records
import Safetensors
import Tensors
import TestSupport
import Testing

@testable import SpeechTraining
@testable import Training

/// Voice prompts from a bank of references.
@Suite struct VoiceBankTests {
  let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  private static let form = LatentForm(of: TinyTrainable())

  /// References of speakers 0, 1 and 2: longer than ten seconds, six seconds, one second.
  private func bank(
    seconds: Double = VoiceBank.seconds,
    change: (inout Record, Int) -> Void = { _, _ in }
  ) throws -> VoiceBank {
    let lengths = [200, 75, 12]
    try writeShard(folder.file("bank.ttsr"), ids: 0..<3) { record, number in
      var random = RandomNumbers(seed: 9, name: record.id)
      let count = lengths[number] * 3
      record.arrays["latents"] = ArrayData(random.normal(count), shape: [lengths[number], 3])
      record.arrays["tokens"] = nil
      change(&record, number)
    }
    return try VoiceBank([folder.file("bank.ttsr")], Self.form, seconds: seconds)
  }

  private func corpus(
    _ voices: VoiceBank, ids: Range<Int> = 0..<3,
    change: (inout Record, Int) -> Void = { _, _ in }
  ) throws -> Corpus {
    try writeShard(folder.file("a.ttsr"), ids: ids, frames: 30, change: change)
    return try Corpus(
      [folder.file("a.ttsr")], for: TinyTrainable(), maxSeconds: 30, voices: voices,
      name: "--train", onRecord: { _ in })
  }

  private func examples(
    _ corpus: Corpus, utterance: Int, seconds: Double = VoiceBank.seconds, count: Int = 400,
    varies: Bool = true
  ) throws -> [TrainingExample] {
    var options = ExampleOptions()
    options.prompts = .bank
    options.promptSeconds = seconds
    return try ExampleLoader(corpus, options).examples(
      (0..<count).map { .init(position: $0, utterance: utterance) }, seed: 4, variesPrompts: varies)
  }

  @Test func promptsAreBeginningsOfTheSpeakersReference() throws {
    let voices = try bank()
    #expect(
      voices.references.mapValues(\.rows) == ["speaker-0": 125, "speaker-1": 75, "speaker-2": 12])
    let corpus = try corpus(voices)
    for (utterance, longest) in [125, 75, 12].enumerated() {
      let reference = try #require(voices.references["speaker-\(utterance)"])
      let made = try examples(corpus, utterance: utterance)
      let prompts = try made.map { try #require($0.voice) }
      #expect(prompts.allSatisfy { $0.values == reference.rows(0..<$0.rows).values })
      #expect(made.allSatisfy { $0.latents.rows == 30 && $0.tokens.count == 4 })
      let short = prompts.filter { $0.rows < longest }.map(\.rows)
      if utterance == 2 {
        #expect(short.isEmpty)
      } else {
        // Three tenths are cropped, evenly from 2.5 s to all of it.
        #expect((85...155).contains(short.count), "\(short.count)")
        #expect(short.min() ?? 0 >= 31 && short.min() ?? 0 < 36 && short.max() ?? 0 > longest - 6)
        let mean = Double(short.reduce(0, +)) / Double(max(1, short.count))
        #expect(abs(mean - Double(31 + longest) / 2) < 7, "\(mean)")
      }
      // Validation always has them whole, and the draw is the position's own.
      let whole = try examples(corpus, utterance: utterance, count: 20, varies: false)
      #expect(whole.allSatisfy { $0.voice?.rows == longest })
      var options = ExampleOptions()
      options.prompts = .bank
      options.promptSeconds = VoiceBank.seconds
      let again = try ExampleLoader(corpus, options).examples(
        [.init(position: 77, utterance: utterance)], seed: 4, variesPrompts: true)[0]
      #expect(again.voice?.rows == prompts[77].rows)
    }
    #expect(
      try examples(corpus, utterance: 0, seconds: 3).allSatisfy { $0.voice?.rows ?? 99 <= 37 })
    #expect(try examples(corpus, utterance: 0, seconds: 0).allSatisfy { $0.voice == nil })
  }

  @Test func targetsEndWithTheirSpeech() throws {
    let corpus = try corpus(bank()) { record, _ in
      record.arrays["word_starts"] = ArrayData([0, 0.5, 1] as [Float])
      record.arrays["word_ends"] = ArrayData([0.4, 0.9, 1.5] as [Float])
    }
    let made = try examples(corpus, utterance: 1, count: 5)
    // 1.5 s and 0.2 s more.
    #expect(made.allSatisfy { $0.latents.rows == 21 && $0.tokens.count == 4 })
  }

  @Test func allSpeakersNeedAReference() throws {
    let voices = try bank()
    let missing = failure {
      _ = try corpus(voices, ids: 0..<9) { record, number in
        if number >= 5 { record.speaker = "stranger" }
        if number == 8 { record.speaker = nil }
      }
    }
    #expect(missing?.kind == .badInput && missing?.record == "utterance-5")
    #expect(missing?.problem.contains("'stranger'") == true && missing?.subject == "--train")
    #expect(missing?.problem.contains("4 utterances") == true)
    let nameless = failure {
      _ = try corpus(voices, ids: 0..<1) { record, _ in record.speaker = nil }
    }
    #expect(nameless?.problem.contains("names no speaker") == true)
    // What is not learnt from needs none.
    let rest = try corpus(voices, ids: 0..<2) { record, number in
      guard number == 1 else { return }
      record.speaker = "stranger"
      record.reject("noise")
    }
    #expect(rest.count == 1)
  }

  @Test func aReferenceIsNotItsOwnTarget() throws {
    let voices = try bank()
    let reference = try #require(voices.references["speaker-1"])
    let corpus = try corpus(voices) { record, number in
      guard number == 1 else { return }
      record.arrays["latents"] = ArrayData(reference.rows(0..<40).values, shape: [40, 3])
    }
    #expect(corpus.count == 2 && corpus.leftOut == ["references of the voice bank": 1])
  }

  @Test func wrongReferencesAreRefused() throws {
    func refused(
      _ kind: Failure.Kind, _ word: String, _ change: @escaping (inout Record, Int) -> Void
    ) {
      let failure = failure { _ = try bank(change: change) }
      #expect(
        failure?.kind == kind && failure?.problem.contains(word) == true,
        "\(word): \(failure as Any)")
      #expect(failure?.subject == folder.file("bank.ttsr"))
    }
    refused(.badInput, "'speaker-0'") { record, _ in record.speaker = "speaker-0" }
    refused(.badInput, "no speaker") { record, number in if number == 1 { record.speaker = nil } }
    refused(.badInput, "no latents") { record, _ in record.arrays["latents"] = nil }
    refused(.badInput, "without sound") { record, _ in
      record.arrays["latents"] = ArrayData([Float](), shape: [0, 3])
    }
    refused(.badInput, "not finite") { record, _ in
      record.arrays["latents"] = ArrayData([1, .nan, 2] as [Float], shape: [1, 3])
    }
    refused(.configuration, "shape") { record, _ in
      record.arrays["latents"] = ArrayData([1, 2] as [Float], shape: [1, 2])
    }
    refused(.badInput, "no reference") { record, _ in record.reject("noise") }
    let stage = Stage(tool: "tts-mimi-encode", version: 1, models: ["encoder": "other"])
    try writeShard(
      folder.file("other.ttsr"), ids: 0..<1, header: StreamHeader().appending(stage))
    let other = failure { _ = try VoiceBank([folder.file("other.ttsr")], Self.form) }
    #expect(other?.kind == .configuration && other?.problem.contains("another model") == true)
    #expect(failure { _ = try VoiceBank([folder.file("no-*.ttsr")], Self.form) }?.kind == .noInput)
    // A rejected reference is as good as none.
    #expect(
      try bank { record, number in if number > 0 { record.reject("noise") } }.references.count == 1)
  }
}
