import Base
import ModelInterface
import NeuralNetworks
import Tensors
import TestSupport
import Testing

@testable import PocketTTS

/// What must hold of the loss whatever the reference computes.
@Suite struct LossTests {
  private let trainable: PocketTTSTrainable

  init() throws {
    let model = try PocketTTSModel(path: fixture("PocketTTS/lsd_train"))
    trainable = try PocketTTSTrainable(start: TrainingStart(model, TrainingTask()))
  }

  private func example(_ number: Int, frames: Int) -> TrainingExample {
    var random = RandomNumbers(seed: 1, name: "example \(number)")
    return TrainingExample(
      latents: Tensor(random.normal(frames * 32), shape: [frames, 32]),
      voice: Tensor(random.normal(3 * 32), shape: [3, 32]),
      tokens: (0..<5 + number).map { Int32(4 + 11 * ($0 + number) % 300) })
  }

  private func flowDraws(_ rows: Int, _ name: String) -> FlowDraws {
    var random = RandomNumbers(seed: 2, name: name)
    return FlowDraws(
      rows: rows, channels: 32, options: LSDOptions(), path: .linear, random: &random)
  }

  private func gradients(
    _ batch: [TrainingExample], _ options: LossOptions, _ draws: TrainingDraws,
    parameters: [String: Tensor]? = nil, share: Float = 1
  ) throws -> (loss: Float, gradients: [String: Tensor]) {
    let start = parameters ?? trainable.parameters
    let tape = Tape()
    let names = start.keys.sorted()
    let variables = names.map { tape.watch(start[$0] ?? .zeros([0])) }
    let report = try trainable.loss(
      of: batch, parameters: Dictionary(uniqueKeysWithValues: zip(names, variables)),
      buffers: trainable.buffers, options: options, isEvaluation: false, draws: draws)
    let all = tape.gradients(of: report.loss * share, for: variables)
    return (
      report.loss.scalar,
      Dictionary(uniqueKeysWithValues: zip(names, all).compactMap { n, g in g.map { (n, $0) } })
    )
  }

  private func draws(_ flow: FlowDraws, rows: Int) -> TrainingDraws {
    TrainingDraws(
      keepsVoice: (0..<rows).map { _ in true }, keepsText: (0..<rows).map { _ in true },
      distills: true, head: .lsd(flow))
  }

  private func isClose(_ a: [String: Tensor], _ b: [String: Tensor], _ tolerance: Float) -> Bool {
    a.keys == b.keys
      && a.allSatisfy { name, value in
        guard let other = b[name] else { return false }
        let scale = max(1e-6, other.values.map { abs($0) }.max() ?? 0)
        return zip(value.values, other.values).allSatisfy { abs($0 - $1) <= tolerance * scale }
      }
  }

  @Test func theSameNoiseTwiceIsTheSameLoss() throws {
    let batch = [example(0, frames: 7), example(1, frames: 9)]
    let once = flowDraws(16, "noise")
    func twice(_ tensor: Tensor) -> Tensor { concatenateRows([tensor, tensor]) }
    var doubled = once
    doubled.noise = twice(once.noise)
    doubled.diagonal = twice(once.diagonal)
    doubled.start = twice(once.start)
    doubled.end = twice(once.end)
    var options = LossOptions()
    let single = try gradients(batch, options, draws(once, rows: 2))
    options.multiplier = 2
    let double = try gradients(batch, options, draws(doubled, rows: 2))
    #expect(abs(single.loss - double.loss) <= 1e-5 * abs(single.loss))
    #expect(isClose(single.gradients, double.gradients, 1e-4))
  }

  @Test func twoHalvesOfABatchAreTheWhole() throws {
    let batch = [example(0, frames: 8), example(1, frames: 8)]
    let all = flowDraws(16, "noise")
    let whole = try gradients(batch, LossOptions(), draws(all, rows: 2))
    let halves = try (0..<2).map { half in
      try gradients(
        [batch[half]], LossOptions(), draws(all.rows(half * 8..<half * 8 + 8), rows: 1), share: 0.5)
    }
    #expect(abs((halves[0].loss + halves[1].loss) / 2 - whole.loss) <= 1e-5 * abs(whole.loss))
    let sum = halves[0].gradients.merging(halves[1].gradients) { $0 + $1 }
    #expect(isClose(sum, whole.gradients, 1e-4))
  }

  @Test func aLongerRowBesideItChangesNothingOfARow() throws {
    let (short, long) = (example(0, frames: 6), example(1, frames: 20))
    let start = try TrainingStart(trainable.model, TrainingTask())
    let flowLM = try FlowLM(Weights(start.tensors, subject: "test"), trainable.configuration)
    func frames(_ batch: [TrainingExample]) -> Tensor {
      flowLM.outputs(
        batch, normalized: flowLM.normalize(concatenateRows(batch.map(\.latents))),
        draws: draws(flowDraws(1, ""), rows: batch.count), teachesEveryEnd: true, recomputing: 0
      ).frames
    }
    let alone = frames([short]).values
    #expect(Array(frames([short, long]).values.prefix(alone.count)) == alone)
  }

  @Test func textAndVoiceAreLeftOutAsOftenAsAsked() throws {
    var random = RandomNumbers(seed: 3, name: "dropout")
    let text = PocketTTSTrainable.kept(10_000, dropout: 0.2, random: &random)
    let voice = PocketTTSTrainable.kept(10_000, dropout: 0.2, random: &random)
    var counts = [0, 0, 0, 0]
    for (text, voice) in zip(text, voice) { counts[(text ? 2 : 0) + (voice ? 1 : 0)] += 1 }
    for (count, share) in zip(counts, [0.04, 0.16, 0.16, 0.64]) {
      #expect(abs(Double(count) / 10_000 - share) < 0.015)
    }
    #expect(PocketTTSTrainable.kept(100, dropout: 0, random: &random).allSatisfy { $0 })
    #expect(PocketTTSTrainable.kept(100, dropout: 1, random: &random).allSatisfy { !$0 })
    // A row without either has the mark of the voice's place and one place for each frame and the end.
    let rows = [SequenceLayout.Row(voice: 0, tokens: 0, frames: 9)]
    let layout = SequenceLayout(rows, teachesEveryEnd: true)
    #expect(layout.positions == 1 + 9 + 1)
    #expect(layout.framePlaces == Array(1...9))
    #expect(layout.isEnd == [Bool](repeating: false, count: 9) + [true])
  }

  /// The official net of the precision begins as zeros: only its last bias can ever move.
  @Test func onlyTheLastBiasOfThePrecisionLearns() throws {
    let batch = [example(0, frames: 12)]
    let result = try gradients(batch, LossOptions(), draws(flowDraws(12, "noise"), rows: 1))
    for (name, gradient) in result.gradients where name.hasPrefix("flow.w_s_t.") {
      #expect((gradient.sumOfSquares > 0) == (name == "flow.w_s_t.6.bias"), "\(name)")
    }
  }

  /// The head of a new model makes nothing, so that the diagonal term is that of plain noise.
  @Test func aNewModelBeginsWhereItMust() throws {
    var task = TrainingTask()
    task.isFresh = true
    let fresh = try PocketTTSTrainable(start: TrainingStart(trainable.model, task))
    var random = RandomNumbers(seed: 5, name: "fresh")
    let batch = [example(0, frames: 400)]
    let report = try fresh.loss(
      of: batch, parameters: fresh.parameters, buffers: fresh.buffers, options: LossOptions(),
      isEvaluation: true, random: &random)
    let diagonal = try #require(report.metrics["flow_diag"])
    #expect(abs(diagonal - 64) < 3)
    #expect(report.metrics["flow_distill"] == 0)
    #expect(abs(try #require(report.metrics["eos_loss"]) - 0.69) < 0.3)
  }
}
