import Base
import ModelInterface
import NeuralNetworks
import Tensors

/// A batch laid out as one matrix of equally long sequences,
/// `[bos_before_voice | voice | text | BOS, latents]`, padded on the right.
struct SequenceLayout {
  /// Which row of the embedded parts stands at each place; -1 for padding.
  private(set) var sources: [Int32] = []
  /// The length of each sequence.
  let positions: Int
  /// The places of the real frames, row by row.
  private(set) var framePlaces: [Int32] = []
  /// The places where the end of speech is scored, and whether it is reached there.
  private(set) var endPlaces: [Int32] = []
  private(set) var isEnd: [Bool] = []

  /// One row: how much of everything it has.
  struct Row {
    var voice: Int
    var tokens: Int
    var frames: Int
  }

  /// - Parameters:
  ///   - rows: the batch.
  ///   - teachesEveryEnd: whether every row gets a place after its last frame; the official trainer
  ///     gives the longest rows none.
  init(_ rows: [Row], teachesEveryEnd: Bool) {
    let longest = rows.map(\.frames).max() ?? 0
    func audio(_ row: Row) -> Int {
      row.frames + (teachesEveryEnd || row.frames < longest ? 1 : 0)
    }
    positions = rows.map { 1 + $0.voice + $0.tokens + audio($0) }.max() ?? 0
    // The embedded parts: bos_before_voice, all voices, all texts, BOS, all latents.
    var voice: Int32 = 1
    var text = voice + Int32(rows.reduce(0) { $0 + $1.voice })
    let bos = text + Int32(rows.reduce(0) { $0 + $1.tokens })
    var latent = bos + 1
    for (index, row) in rows.enumerated() {
      let place = Int32(index * positions)
      var line: [Int32] = [0]
      line += (0..<Int32(row.voice)).map { voice + $0 }
      line += (0..<Int32(row.tokens)).map { text + $0 }
      let first = Int32(line.count)
      line.append(bos)
      line += (0..<Int32(audio(row) - 1)).map { latent + $0 }
      for frame in 0..<Int32(audio(row)) {
        let isReal = frame < row.frames
        if isReal { framePlaces.append(place + first + frame) }
        endPlaces.append(place + first + frame)
        isEnd.append(!isReal)
      }
      sources += line + [Int32](repeating: -1, count: positions - line.count)
      voice += Int32(row.voice)
      text += Int32(row.tokens)
      latent += Int32(row.frames)
    }
  }
}

/// The learned log-precision of the loss terms, w(s, t): four linear layers on the two times. All
/// zeros at the start, where only its last bias ever learns, as in the official trainer.
struct PrecisionNet: Sendable {
  static let sizes = [2, 32, 32, 32, 1]
  private let layers: [Linear]

  init(_ weights: Weights) throws {
    layers = try (0..<4).map {
      try Linear(weights[2 * $0], inputs: Self.sizes[$0], outputs: Self.sizes[$0 + 1])
    }
  }

  static var initial: [String: Tensor] {
    var tensors: [String: Tensor] = [:]
    for index in 0..<4 {
      tensors["\(2 * index).weight"] = .zeros([sizes[index + 1], sizes[index]])
      tensors["\(2 * index).bias"] = .zeros([sizes[index + 1]])
    }
    return tensors
  }

  func callAsFunction(_ start: Tensor, _ end: Tensor) -> Tensor {
    let x = concatenateColumns([start, end])
    return layers[3](layers[2](layers[1](layers[0](x).relu()).relu()).relu())
  }
}

/// What a loss draws at random, so that recorded draws can be replayed.
struct TrainingDraws {
  var keepsVoice: [Bool]
  var keepsText: [Bool]
  /// Whether the distillation term is computed.
  var distills: Bool
  /// Noise and times of `multiplier` copies of all frames.
  var flow: FlowDraws
  /// Uniform times, for flow matching: `[rows, 1]`.
  var time: Tensor

  /// Those of some rows.
  func rows(_ range: Range<Int>) -> TrainingDraws {
    var part = self
    part.flow = flow.rows(range)
    part.time = time.rows(range)
    return part
  }
}

extension FlowLM {
  /// Share of the diagonal term in the LSD loss.
  static let diagonalShare: Float = 0.75

  /// The backbone over a batch, recorded.
  ///
  /// - Returns: the outputs at the real frames `[frames, Z]`, and the end-of-speech logits at the
  ///   scored places `[places, 1]`.
  func hidden(
    _ batch: [TrainingExample], normalized latents: Tensor, draws: TrainingDraws,
    teachesEveryEnd: Bool
  ) -> (frames: Tensor, logits: Tensor, isEnd: [Bool]) {
    let voices = zip(batch, draws.keepsVoice).map { $1 ? $0.voice : nil }
    let tokens = zip(batch, draws.keepsText).map { $1 ? $0.tokens : [] }
    let layout = SequenceLayout(
      zip(batch, zip(voices, tokens)).map {
        SequenceLayout.Row(
          voice: $1.0?.rows ?? 0, tokens: $1.1.count, frames: $0.latents.rows)
      }, teachesEveryEnd: teachesEveryEnd)
    let channels = configuration.latentWidth
    var parts = [bosBeforeVoice ?? .zeros([1, configuration.flowLM.transformer.dModel])]
    let allVoices = voices.compactMap(\.self)
    if !allVoices.isEmpty { parts.append(embed(voice: concatenateRows(allVoices))) }
    if tokens.contains(where: { !$0.isEmpty }) {
      parts.append(embed(tokens: tokens.flatMap(\.self)))
    }
    parts.append(embed(latents: concatenateRows([bos.reshaped([1, channels]), latents])))
    let sequences = concatenateRows(parts).gatherRows(layout.sources)
    let z = hidden(transformer.sequences(sequences, positions: layout.positions))
    return (
      z.gatherRows(layout.framePlaces),
      endOfSpeechLogits(z.gatherRows(layout.endPlaces)), layout.isEnd
    )
  }

  /// Rows of the flow head that are in memory at a time: their tensors fit a core's cache.
  private static let rowsOfPiece = 256

  /// The loss of a batch: flow loss plus weighted end-of-speech loss.
  ///
  /// - Parameters:
  ///   - flow: the parameters of the flow head and of the log-precision of the LSD terms, by their
  ///     whole names.
  ///   - frozen: the flow head with constant parameters.
  func loss(
    of batch: [TrainingExample], options: LossOptions, isEvaluation: Bool, draws: TrainingDraws,
    flow: [String: Tensor], frozen: FlowHead, teachesEveryEnd: Bool = true
  ) throws -> LossReport {
    let target = normalize(concatenateRows(batch.map(\.latents))).detached()
    let outputs = hidden(
      batch, normalized: target, draws: draws, teachesEveryEnd: teachesEveryEnd)
    let rows = options.multiplier * target.rows
    let names = flow.keys.sorted()
    var metrics: [String: Double] = [:]
    let pieces = (rows + Self.rowsOfPiece - 1) / Self.rowsOfPiece
    let flowLoss = try accumulatedSum(
      [outputs.frames] + names.compactMap { flow[$0] }, pieces: pieces
    ) { piece, values in
      let range = piece * Self.rowsOfPiece..<min(rows, (piece + 1) * Self.rowsOfPiece)
      let share = Float(range.count) / Float(rows)
      let frames = range.map { Int32($0 % target.rows) }
      let loss = try headLoss(
        conditions: values[0].gatherRows(frames), target: target.gatherRows(frames),
        draws: draws.rows(range), options: options, isEvaluation: isEvaluation,
        flow: Dictionary(uniqueKeysWithValues: zip(names, values.dropFirst())), frozen: frozen)
      for (name, value) in loss.metrics { metrics[name, default: 0] += value * Double(share) }
      return loss.loss * share
    }
    let endLoss = endOfSpeechLoss(logits: outputs.logits, isEnd: outputs.isEnd)
    let loss = flowLoss + endLoss * options.endOfSpeechWeight
    metrics["flow_loss"] = Double(flowLoss.scalar)
    metrics["eos_loss"] = Double(endLoss.scalar)
    metrics["loss"] = Double(loss.scalar)
    return LossReport(loss: loss, metrics: metrics)
  }

  /// The flow loss of some rows.
  private func headLoss(
    conditions z: Tensor, target: Tensor, draws: TrainingDraws, options: LossOptions,
    isEvaluation: Bool, flow: [String: Tensor], frozen: FlowHead
  ) throws -> LossReport {
    let weights = Weights(flow, subject: "flow head")
    let head = try FlowHead(weights["flow_lm"]["flow_net"], configuration)
    guard head.type == .lsd else {
      return LossReport(
        loss: flowMatchingLoss(target: target, noise: draws.flow.noise, time: draws.time) {
          head(z, time: head.timeCondition([$0]), $1)
        }, metrics: [:])
    }
    let precision = try PrecisionNet(weights["flow"]["w_s_t"])
    let constantZ = z.detached()
    let weight = 1 - Self.diagonalShare
    let loss = lsdLoss(
      target: target, draws: draws.flow, diagonalWeight: Self.diagonalShare,
      distillationWeight: isEvaluation
        ? weight : draws.distills ? weight / options.distillationProbability : nil,
      stopsTargetGradient: options.stopsTargetGradient,
      velocity: { head(z, time: head.timeCondition([$0, $1]), $2) },
      frozenVelocity: { frozen(constantZ, time: frozen.timeCondition([$0, $1]), $2) },
      logPrecision: { precision($0, $1) })
    var metrics = ["flow_diag": loss.diagonal]
    metrics["flow_distill"] = loss.distillation
    return LossReport(loss: loss.loss, metrics: metrics)
  }
}
