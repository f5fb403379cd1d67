import Base
import ModelInterface
import NeuralNetworks
import Tensors

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

/// What a loss draws at random, so that recorded draws can be replayed. Rows are `multiplier` copies
/// of all frames.
struct TrainingDraws {
  var keepsVoice: [Bool]
  var keepsText: [Bool]
  /// Whether the distillation term is computed.
  var distills: Bool
  /// What a flow head draws for each row.
  var head: HeadDraws
}

/// What a kind of flow head draws for each row.
enum HeadDraws {
  /// Noise and times.
  case lsd(FlowDraws)
  /// Noise `[rows, channels]` and uniform times `[rows, 1]`.
  case flowMatching(noise: Tensor, time: Tensor)
  /// The noises of all generations: `[rows * draws, channels]`, row by row.
  case drifting(noise: Tensor)
  /// What a head that imitates another draws.
  case imitation(HeadImitationDraws)
  /// Nothing: no head learns.
  case none

  init(
    _ type: Configuration.FlowType, rows: Int, channels: Int, options: LossOptions,
    random: inout RandomNumbers
  ) {
    func noise(_ rows: Int) -> Tensor {
      Tensor(random.normal(rows * channels), shape: [rows, channels])
    }
    switch type {
    case .lsd:
      self = .lsd(
        FlowDraws(
          rows: rows, channels: channels, options: options.lsd, path: options.path, random: &random)
      )
    case .flowMatching:
      let noise = noise(rows)
      let times = (0..<rows).map { _ in random.uniform() }
      self = .flowMatching(noise: noise, time: Tensor(times, shape: [rows, 1]))
    case .drifting, .pointwise: self = .drifting(noise: noise(rows * options.drifting.draws))
    }
  }
}

/// What the flow head learns in training: its parameters and those of its objective.
struct LearningHead {
  /// The parameters `flow_lm.flow_net.…` and `flow.…`, by their whole names.
  let parameters: [String: Tensor]
  /// The head with constant parameters.
  let frozen: FlowHead
  let configuration: Configuration

  /// Rows of the head that are in memory at a time: their tensors fit a core's cache.
  static let rowsOfPiece = 128

  /// The loss on some frames, made piece by piece.
  ///
  /// - Parameters:
  ///   - conditions: what the head reads, `[frames, Z]`.
  ///   - target: `[frames, channels]`, normalised.
  func loss(
    conditions: Tensor, target: Tensor, options: LossOptions, isEvaluation: Bool,
    draws: TrainingDraws
  ) throws -> LossReport {
    if case .drifting(let noise) = draws.head {
      return try drifting(
        conditions: conditions, samples: target, frames: target.rows, noise: noise,
        options: options)
    }
    let rows = options.multiplier * target.rows
    let pieces = (rows + Self.rowsOfPiece - 1) / Self.rowsOfPiece
    let (loss, parts) = try withParameters { names, values in
      try accumulatedSum([conditions] + values, pieces: pieces) { piece, values in
        let range = piece * Self.rowsOfPiece..<min(rows, (piece + 1) * Self.rowsOfPiece)
        let share = Float(range.count) / Float(rows)
        let frames = range.map { Int32($0 % target.rows) }
        let loss = try flowLoss(
          conditions: values[0].gatherRows(frames), target: target.gatherRows(frames),
          rows: range, draws: draws, options: options, isEvaluation: isEvaluation,
          parameters: Dictionary(uniqueKeysWithValues: zip(names, values.dropFirst())))
        return (loss.loss * share, loss.metrics.mapValues { $0 * Double(share) })
      }
    }
    let metrics = parts.reduce(into: [:]) { sum, part in sum.merge(part) { $0 + $1 } }
    return LossReport(loss: loss, metrics: metrics)
  }

  func withParameters<Result>(
    _ body: (_ names: [String], _ values: [Tensor]) throws -> Result
  ) rethrows -> Result {
    let sorted = parameters.sorted { $0.key < $1.key }
    return try body(sorted.map(\.key), sorted.map(\.value))
  }

  private func flowLoss(
    conditions z: Tensor, target: Tensor, rows: Range<Int>, draws: TrainingDraws,
    options: LossOptions, isEvaluation: Bool, parameters: [String: Tensor]
  ) throws -> LossReport {
    let weights = Weights(parameters, subject: "flow head")
    let head = try FlowHead(weights["flow_lm"]["flow_net"], configuration)
    switch draws.head {
    case .flowMatching(let noise, let time):
      let loss = flowMatchingLoss(
        target: target, noise: noise.rows(rows), time: time.rows(rows),
        remainingNoise: options.path == .linear ? options.remainingNoise : 0, path: options.path
      ) { head(z, time: head.timeCondition([$0]), $1) }
      return LossReport(loss: loss, metrics: [:])
    case .lsd(let flow):
      let precision = options.lsd.isWeighted ? try PrecisionNet(weights["flow"]["w_s_t"]) : nil
      let constantZ = z.detached()
      let weight = 1 - options.lsd.diagonalShare
      let loss = lsdLoss(
        target: target, draws: flow.rows(rows), options: options.lsd,
        distillationWeight: isEvaluation
          ? weight : draws.distills ? weight / options.lsd.distillationProbability : nil,
        path: options.path,
        velocity: { head(z, time: head.timeCondition([$0, $1]), $2) },
        frozenVelocity: { frozen(constantZ, time: frozen.timeCondition([$0, $1]), $2) },
        logPrecision: precision.map { net in { net($0, $1) } })
      var metrics = ["flow_diag": loss.diagonal]
      metrics["flow_distill"] = loss.distillation
      return LossReport(loss: loss.loss, metrics: metrics)
    case .drifting, .imitation, .none:
      preconditionFailure("this loss is not made row by row")
    }
  }

  /// - Parameters:
  ///   - samples: of the data: as many for each frame as there are for the others.
  ///   - noise: `[multiplier * frames * draws, channels]`.
  func drifting(
    conditions: Tensor, samples: Tensor, frames: Int, noise: Tensor, options: LossOptions
  ) throws -> LossReport {
    let draws = options.drifting.draws
    let positions = noise.rows / draws
    let perFrame = samples.rows / max(1, frames)
    let data = samples.gatherRows(
      (0..<positions).flatMap { position in
        (0..<perFrame).map { Int32((position % frames) * perFrame + $0) }
      })
    let temperature = try Weights(parameters, subject: "flow head")["flow"].tensor("temp", [1])
    let loss = try withParameters { names, values in
      try driftingLoss(
        samples: data, positions: positions, temperature: temperature, options: options.drifting,
        inputs: [conditions] + values,
        piece: max(1, Self.rowsOfPiece / draws)
      ) { range, values in
        let parameters = Dictionary(uniqueKeysWithValues: zip(names, values.dropFirst()))
        let head = try FlowHead(
          Weights(parameters, subject: "flow head")["flow_lm"]["flow_net"], configuration)
        let places = (0..<range.count * draws).map { Int32($0 / draws) }
        return head(
          values[0].gatherRows(range.map { Int32($0 % frames) }), time: nil,
          noise.rows(range.lowerBound * draws..<range.upperBound * draws), places: places)
      }
    }
    return LossReport(loss: loss.loss, metrics: loss.metrics)
  }
}

extension FlowLM {
  /// The loss of a batch: flow loss plus weighted end-of-speech loss.
  func loss(
    of batch: [TrainingExample], options: LossOptions, isEvaluation: Bool, draws: TrainingDraws,
    head: LearningHead
  ) throws -> LossReport {
    let target = normalize(concatenateRows(batch.map(\.latents))).detached()
    let outputs = self.outputs(
      batch, normalized: target, draws: draws, teachesEveryEnd: options.teachesEveryEnd,
      recomputing: options.recomputedLayers)
    let flow = try head.loss(
      conditions: outputs.frames, target: target, options: options, isEvaluation: isEvaluation,
      draws: draws)
    let endLoss = endOfSpeechLoss(
      logits: endOfSpeechLogits(outputs.ends), isEnd: outputs.isEnd)
    let loss = flow.loss + endLoss * options.endOfSpeechWeight
    var metrics = flow.metrics
    metrics["flow_loss"] = Double(flow.loss.scalar)
    metrics["eos_loss"] = Double(endLoss.scalar)
    metrics["loss"] = Double(loss.scalar)
    return LossReport(loss: loss, metrics: metrics)
  }
}
