import Base
import ModelInterface
import Records
import Safetensors
import Tensors
import TestSupport
import Testing

@testable import SpeechTraining
@testable import Training

private func corpus(_ patterns: [String], maxSeconds: Double = 30) throws -> Corpus {
  try Corpus(
    patterns, for: TinyTrainable(), maxSeconds: maxSeconds, name: "--train", onRecord: { _ in })
}

@Suite struct CorpusTests {
  @Test func indexesWhatIsGood() throws {
    let folder = try ScratchFolder()
    try writeShard(folder.file("a-0.ttsr"), ids: 0..<10) { record, number in
      if number == 3 { record.reject("bad sound") }
      if number == 4 { record.arrays["tokens"] = ArrayData([Int32](), shape: [0]) }
      if number == 5 { record.arrays["latents"] = ArrayData([Float](), shape: [0, 3]) }
      if number == 6 { record.speaker = nil }
    }
    try writeShard(folder.file("a-1.ttsr"), ids: 10..<12, frames: 8) { record, number in
      if number == 11 {
        record.arrays["latents"] = ArrayData([Float](repeating: 0, count: 1200), shape: [400, 3])
      }
    }
    let corpus = try corpus([folder.file("a-*.ttsr")])
    #expect(corpus.paths == [folder.file("a-0.ttsr"), folder.file("a-1.ttsr")])
    #expect(corpus.count == 8)
    #expect(
      corpus.leftOut == [
        "rejected": 1, "without text": 1, "without sound": 1, "too long": 1,
      ])
    #expect(corpus.utterances.filter { $0.speaker < 0 }.count == 1)
    // Mean 1, deviation 2 by construction.
    #expect(corpus.mean.allSatisfy { abs($0 - 1) < 0.7 })
    #expect(corpus.deviation.allSatisfy { abs($0 - 2) < 0.6 })
    #expect(corpus.frames == corpus.utterances.reduce(0) { $0 + Int($1.frames) })
  }

  @Test func statisticsAreThoseOfAllFrames() {
    var statistics = ChannelStatistics(width: 2)
    statistics.add(Tensor([1e6, 5, 1e6 + 2, 5], shape: [2, 2]))
    statistics.add(Tensor([1e6 + 4, 5], shape: [1, 2]))
    let result = statistics.result()
    #expect(result.mean == [1e6 + 2, 5])
    #expect(result.deviation == [2, 1])
  }

  @Test func partsAreJoined() throws {
    let folder = try ScratchFolder()
    try writeShard(folder.file("a.ttsr"), ids: 0..<6) { record, number in
      // 1, 2 and 3 are one utterance.
      guard (1...3).contains(number) else { return }
      record.id = "long"
      record.part = number - 1
      record.isLastPart = number == 3
      if number > 1 { record.arrays["tokens"] = nil }
    }
    let corpus = try corpus([folder.file("a.ttsr")])
    #expect(corpus.count == 4)
    #expect(corpus.utterances[1].frames == 12 + 19 + 6)
    var options = ExampleOptions()
    options.promptSeconds = 0
    let loader = ExampleLoader(corpus, options)
    let example = try loader.examples(
      [.init(position: 0, utterance: 1)], seed: 1, variesPrompts: false)[0]
    #expect(example.latents.rows == 37)
    #expect(example.voice == nil)
  }

  @Test func aRejectedPartLeavesTheIdOut() throws {
    let folder = try ScratchFolder()
    try writeShard(folder.file("a.ttsr"), ids: 0..<3) { record, number in
      guard number < 2 else { return }
      record.id = "long"
      record.part = number
      record.isLastPart = number == 1
      if number == 1 { record.reject("noise") }
    }
    #expect(try corpus([folder.file("a.ttsr")]).count == 1)
  }

  @Test func longUtterancesAreCutAtWords() throws {
    let folder = try ScratchFolder()
    try writeShard(folder.file("a.ttsr"), ids: 0..<2, frames: 100) { record, number in
      guard number == 0 else { return }
      record.arrays["word_starts"] = ArrayData([Float](arrayLiteral: 0, 3, 6), shape: [3])
      record.arrays["word_ends"] = ArrayData([Float](arrayLiteral: 2, 4, 7), shape: [3])
    }
    let corpus = try corpus([folder.file("a.ttsr")], maxSeconds: 5)
    #expect(corpus.count == 1)
    #expect(corpus.cut == 1)
    #expect(corpus.utterances[0].frames == Int32((4 + 0.2) * 12.5))
    let example = try ExampleLoader(corpus, ExampleOptions()).examples(
      [.init(position: 0, utterance: 0)], seed: 1, variesPrompts: true)[0]
    #expect(example.tokens == (try TinyTokenizer().encode("one two")))
  }

  @Test func promptsComeFromOtherUtterancesOfTheSpeaker() throws {
    let folder = try ScratchFolder()
    try writeShard(folder.file("a.ttsr"), ids: 0..<9, frames: 80)
    let corpus = try corpus([folder.file("a.ttsr")])
    let loader = ExampleLoader(corpus, ExampleOptions())
    let all = try loader.examples(
      (0..<9).map { .init(position: $0, utterance: $0) }, seed: 0, variesPrompts: false
    ).map(\.latents)
    var lengths = Set<Int>()
    var seen = Set<Int>()
    for position in 0..<300 {
      let own = position % 9
      let example = try loader.examples(
        [.init(position: position, utterance: own)], seed: 3, variesPrompts: true)[0]
      let voice = try #require(example.voice)
      let source = try #require(
        all.firstIndex { $0.rows(0..<voice.rows).values == voice.values })
      #expect(source != own && source % 3 == own % 3)
      seen.insert(source)
      lengths.insert(voice.rows)
    }
    #expect(seen.count == 9)
    #expect(lengths.min() == 12 && lengths.max() == 62)
  }

  @Test func refusesWhatTheModelCannotLearn() throws {
    let folder = try ScratchFolder()
    let path = folder.file("a.ttsr")
    func refused(_ change: @escaping (inout Record) -> Void) throws -> Failure? {
      try writeShard(path, ids: 0..<1) { record, _ in change(&record) }
      return failure { _ = try corpus([path]) }
    }
    #expect(try refused { $0.arrays["latents"] = nil }?.kind == .badInput)
    #expect(try refused { $0.arrays["tokens"] = nil }?.kind == .badInput)
    #expect(
      try refused {
        $0.arrays["latents"] = ArrayData([Float](repeating: 0, count: 8), shape: [4, 2])
      }?
      .kind == .configuration)
    #expect(try refused { $0.frameRate = 25 }?.kind == .configuration)
    #expect(
      try refused { $0.arrays["tokens"] = ArrayData([Int32](arrayLiteral: 10), shape: [1]) }?.kind
        == .configuration)
    #expect(
      try refused { $0.arrays["tokens"] = ArrayData([Int32](arrayLiteral: -1), shape: [1]) }?.kind
        == .configuration)
    #expect(
      try refused {
        $0.arrays["latents"] = ArrayData([Float](repeating: .nan, count: 3), shape: [1, 3])
      }?
      .kind == .badInput)
    #expect(try refused { $0.part = 1 }?.kind == .badInput)
    #expect(
      try refused {
        $0.part = 0
        $0.isLastPart = false
      }?.kind == .badInput)
    #expect(try refused { $0.reject("bad") }?.problem.contains("1 rejected") == true)
    #expect(failure { _ = try corpus([folder.file("none-*.ttsr")]) }?.kind == .noInput)
    #expect(failure { _ = try corpus([path, path]) }?.kind == .usage)
  }

  @Test func refusesLatentsOfAnotherModel() throws {
    let folder = try ScratchFolder()
    let path = folder.file("a.ttsr")
    let own = TinyTrainable().codecDigest.description
    func header(_ digests: String...) -> StreamHeader {
      digests.reduce(StreamHeader(stages: [Stage(tool: "tts-import", version: 1)])) {
        $0.appending(Stage(tool: "tts-mimi-encode", version: 1, models: ["encoder": $1]))
      }
    }
    try writeShard(path, ids: 0..<2, header: header(own))
    #expect(try corpus([path]).count == 2)
    try writeShard(path, ids: 0..<2, header: header("other", own))
    #expect(try corpus([path]).count == 2)
    try writeShard(path, ids: 0..<2, header: header(own, "other"))
    #expect(failure { _ = try corpus([path]) }?.kind == .configuration)
  }

  @Test func batchesCoverEachEpochOnceAndAreOfOneLength() {
    let lengths = (0..<103).map { Int32($0 * 37 % 101) }
    let plan = BatchPlan(lengths: lengths, batch: 4, pool: 5, seed: 9)
    var counts = [Int](repeating: 0, count: 103)
    var spread = 0
    for number in 0..<5 * 103 {
      let batch = plan.batch(number)
      #expect(batch == plan.batch(number))
      for sample in batch { counts[sample.utterance] += 1 }
      let own = batch.map { Int(lengths[$0.utterance]) }
      spread += own.max()! - own.min()!
    }
    // 5 · 103 · 4 samples are 20 epochs of 103.
    #expect(counts.allSatisfy { $0 == 20 })
    #expect(spread / (5 * 103) < 40)
  }

  @Test func aCorpusSmallerThanABatchStillFillsIt() {
    let plan = BatchPlan(lengths: [5, 6, 7], batch: 8, pool: 5, seed: 1)
    #expect((0..<4).allSatisfy { plan.batch($0).count == 8 })
  }
}
