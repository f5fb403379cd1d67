import Base
import ModelInterface
import Records
import TestSupport
import Testing

@testable import SpeechTraining
@testable import Training

/// Corpora with weights.
@Suite struct SourceTests {
  let folder: ScratchFolder

  init() throws {
    folder = try ScratchFolder()
    try writeShard(folder.file("a-0.ttsr"), ids: 0..<5)
    try writeShard(folder.file("a-1.ttsr"), ids: 5..<8)
    try writeShard(folder.file("b.ttsr"), ids: 8..<30)
    try writeShard(folder.file("c.ttsr"), ids: 30..<33)
  }

  private func corpus(_ operands: [String]) throws -> Corpus {
    try Corpus(
      operands.map { folder.file($0) }, for: TinyTrainable(), maxSeconds: 30, name: "--train",
      onRecord: { _ in })
  }

  @Test(arguments: [
    [1], [1, 1], [2, 1], [1, 999_983], [3, 1, 2], [7, 7, 7, 1], [1, 1_000_000_000_000, 50, 3],
    [1, 2, 3, 4, 5, 6, 7, 8], [500, 1, 3, 1, 77, 20, 9],
  ])
  func samplesAreSharedOutByWeight(_ weights: [Int]) {
    let mix = SourceMix(weights: weights)
    let sum = weights.reduce(0, +)
    // One sample for four sources, half a sample for each further doubling.
    let levels = (1...4).first { 1 << $0 >= weights.count } ?? 0
    let bound = weights.count == 1 ? 0 : Double(levels) / 2
    var counts = weights.map { _ in 0 }
    for position in 0..<4000 {
      let (source, ordinal) = mix[position]
      #expect(ordinal == counts[source])
      counts[source] += 1
      for (count, weight) in zip(counts, weights) {
        let share = Double(weight) / Double(sum) * Double(position + 1)
        #expect(abs(Double(count) - share) <= bound + 1e-9, "\(position)")
      }
      if (position + 1) % sum == 0 {
        #expect(counts == weights.map { $0 * (position + 1) / sum })
      }
    }
    // Far out it is as exact.
    let far = 1 << 50
    let places = (0..<2000).map { mix[far + $0] }
    for (source, weight) in weights.enumerated() {
      let own = places.filter { $0.source == source }.map(\.ordinal)
      #expect(zip(own, own.dropFirst()).allSatisfy { $1 == $0 + 1 })
      guard let first = own.first else { continue }
      #expect(abs(Double(first) - Double(weight) / Double(sum) * Double(far)) < 2002)
    }
  }

  @Test func eachSourceIsGoneThroughOnceAnEpoch() throws {
    let sources = [0..<7, 7..<40, 40..<43]
    let lengths = (0..<43).map { Int32($0 * 29 % 41) }
    func makePlan(_ seed: UInt64) -> BatchPlan {
      BatchPlan(
        lengths: lengths, sources: sources, mix: SourceMix(weights: [2, 1, 5]), batch: 4, pool: 5,
        seed: seed)
    }
    let plan = makePlan(9)
    let batches = (0..<400).map(plan.batch)
    // The same whatever was asked before.
    #expect((0..<400).reversed().map(makePlan(9).batch) == batches.reversed())
    #expect((0..<400).map(makePlan(8).batch) != batches)
    let samples = batches.flatMap { $0 }.sorted { $0.position < $1.position }
    #expect(samples.map(\.position) == Array(0..<1600))
    var epochs: [[Int]] = []
    for (source, weight) in zip(sources, [2, 1, 5]) {
      let own = samples.map(\.utterance).filter(source.contains)
      #expect(own.count == 1600 * weight / 8)
      for start in stride(from: 0, to: own.count - source.count + 1, by: source.count) {
        let epoch = Array(own[start..<start + source.count])
        #expect(Set(epoch) == Set(source))
        if source.count == 7 { epochs.append(epoch) }
      }
    }
    #expect(Set(epochs).count > epochs.count / 2)
    // Batches are still of one length.
    let spread = batches.reduce(0) { sum, batch in
      let own = batch.map { Int(lengths[$0.utterance]) }
      return sum + own.max()! - own.min()!
    }
    #expect(spread / batches.count < 15)
  }

  @Test func aNameThatExistsStandsForItself() throws {
    #expect(CorpusSource("x/*.ttsr:2").weight == 2)
    #expect(CorpusSource("x/*.ttsr:0.5").patterns == ["x/*.ttsr"])
    for name in ["x:y", "x", "x:", "x:nan", "x:inf", "x:2/y"] {
      #expect(CorpusSource(name).weight == nil && CorpusSource(name).patterns == [name])
    }
    try writeShard(folder.file("a:2"), ids: 40..<42)
    #expect(try corpus(["a:2"]).weights == "no weights")
    #expect(try corpus(["a:2:3", "b.ttsr:1"]).weights == "weights 3 1")
    #expect(
      try corpus(["a:2:3", "b.ttsr:1"]).paths == [folder.file("a:2"), folder.file("b.ttsr")])
  }

  @Test func sourcesHaveSharesOfTheirOwn() throws {
    let plain = try corpus(["a-*.ttsr", "b.ttsr"])
    #expect(plain.sources.map(\.utterances) == [0..<30] && plain.weights == "no weights")
    // Those without a weight are one source together, the first, with the weight 1.
    let mixed = try corpus(["a-0.ttsr", "b.ttsr:0.5", "a-1.ttsr", "c.ttsr:2.5"])
    #expect(mixed.sources.map(\.utterances) == [0..<8, 8..<30, 30..<33])
    #expect(mixed.sources.map(\.share) == [0.25, 0.125, 0.625])
    #expect(mixed.sources.reduce(0) { $0 + $1.frames } == mixed.frames)
    #expect(mixed.weights == "weights 2 1 5")
    // Other weights in the same proportion are the same; another division is other data.
    #expect(
      try corpus(["a-*.ttsr:2", "b.ttsr:4"]).weights == corpus(["a-*.ttsr", "b.ttsr:2"]).weights)
    let one = try corpus(["a-0.ttsr", "a-1.ttsr:1"])
    let other = try corpus(["a-0.ttsr:1", "a-1.ttsr:1"])
    #expect(one.digest == other.digest)
    #expect(try corpus(["a-*.ttsr"]).digest != one.digest)
    let left = try corpus(["a-*.ttsr", "b.ttsr:1"])
    #expect(try corpus(["a-0.ttsr", "a-1.ttsr:1", "b.ttsr:1"]).digest != left.digest)
  }

  @Test func wrongSourcesAreRefused() throws {
    for weight in ["0", "-1", "1e9", "1e-9"] {
      let refused = failure { _ = try corpus(["a-*.ttsr:" + weight]) }
      #expect(refused?.kind == .usage && refused?.problem.contains("weight") == true)
    }
    #expect(failure { _ = try corpus(["a-0.ttsr:1", "a-*.ttsr:2"]) }?.kind == .usage)
    #expect(failure { _ = try corpus(["a-*.ttsr:1", "d.ttsr:2"]) }?.kind == .noInput)
    try writeShard(folder.file("d.ttsr"), ids: 50..<52) { record, _ in record.reject("noise") }
    let empty = failure { _ = try corpus(["a-*.ttsr:1", "d.ttsr:2"]) }
    #expect(empty?.kind == .badInput && empty?.subject == folder.file("d.ttsr"))
    #expect(empty?.problem.contains("2 rejected") == true)
    #expect(failure { _ = try corpus([]) }?.kind == .badInput)
  }

  @Test func aMixedRunGoesOnWhereItWas() throws {
    var options = TrainingOptions()
    options.run.steps = 12
    options.batch = 4
    options.rate = LearningRate(highest: 0.05, warmup: 3)
    options.run.checkpointEvery = 5
    options.run.averageDecay = 0.9
    options.examples.promptTrim = 0.5
    func train(
      _ name: String, _ operands: [String], steps: Int = 12, resumes: Bool = false
    ) throws -> [UInt8] {
      var options = options
      options.run.steps = steps
      let run = try TrainingRun(
        directory: folder.file(name), trainable: TinyTrainable(), training: corpus(operands),
        validation: nil, options: options, toolVersion: 1)
      _ = try run.train(resumes: resumes, observer: observer())
      return try folder.read(name + "/model.safetensors")
    }
    let operands = ["a-*.ttsr:2", "b.ttsr:1"]
    let whole = try train("whole", operands)
    _ = try train("part", operands, steps: 7)
    #expect(try train("part", operands, resumes: true) == whole)
    #expect(try train("again", operands) == whole)
    #expect(try train("plain", ["a-*.ttsr", "b.ttsr"]) != whole)
    let changed = failure { _ = try train("part", ["a-*.ttsr:3", "b.ttsr:1"], resumes: true) }
    #expect(changed?.kind == .configuration)
    #expect(
      changed?.problem == "--train is weights 3 1, the run was begun with weights 2 1")
    let divided = failure { _ = try train("part", ["a-0.ttsr:2", "b.ttsr:1"], resumes: true) }
    #expect(divided?.problem.hasPrefix("--train ") == true)
  }
}
