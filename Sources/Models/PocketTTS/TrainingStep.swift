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

  /// The loss of a batch: flow loss plus weighted end-of-speech loss.
  ///
  /// - Parameters:
  ///   - frozen: the flow head with constant parameters.
  ///   - precision: the log-precision of the LSD terms; nil for other flows.
  func loss(
    of batch: [TrainingExample], options: LossOptions, isEvaluation: Bool, draws: TrainingDraws,
    frozen: FlowHead, precision: PrecisionNet?, teachesEveryEnd: Bool = true
  ) -> LossReport {
    let target = normalize(concatenateRows(batch.map(\.latents))).detached()
    let outputs = hidden(
      batch, normalized: target, draws: draws, teachesEveryEnd: teachesEveryEnd)
    let rows = (0..<options.multiplier).flatMap { _ in 0..<Int32(target.rows) }
    let z = options.multiplier == 1 ? outputs.frames : outputs.frames.gatherRows(rows)
    let x = options.multiplier == 1 ? target : target.gatherRows(rows)
    let constantZ = z.detached()
    var metrics: [String: Double] = [:]
    let flowLoss: Tensor
    if let precision {
      let weight = 1 - Self.diagonalShare
      let loss = lsdLoss(
        target: x, draws: draws.flow, diagonalWeight: Self.diagonalShare,
        distillationWeight: isEvaluation
          ? weight : draws.distills ? weight / options.distillationProbability : nil,
        stopsTargetGradient: options.stopsTargetGradient,
        velocity: { head(z, time: head.timeCondition([$0, $1]), $2) },
        frozenVelocity: { frozen(constantZ, time: frozen.timeCondition([$0, $1]), $2) },
        logPrecision: { precision($0, $1) })
      flowLoss = loss.loss
      metrics["flow_diag"] = loss.diagonal
      metrics["flow_distill"] = loss.distillation
    } else {
      flowLoss = flowMatchingLoss(target: x, noise: draws.flow.noise, time: draws.time) {
        head(z, time: head.timeCondition([$0]), $1)
      }
    }
    let endLoss = endOfSpeechLoss(logits: outputs.logits, isEnd: outputs.isEnd)
    let loss = flowLoss + endLoss * options.endOfSpeechWeight
    metrics["flow_loss"] = Double(flowLoss.scalar)
    metrics["eos_loss"] = Double(endLoss.scalar)
    metrics["loss"] = Double(loss.scalar)
    return LossReport(loss: loss, metrics: metrics)
  }
}
