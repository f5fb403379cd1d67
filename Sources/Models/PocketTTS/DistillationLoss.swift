import Base
import ModelInterface
import NeuralNetworks
import Tensors

/// What a head that imitates another draws.
struct HeadImitationDraws {
  /// The noises that the frozen head's samples are made of, `[frames * samples, channels]`, frame by
  /// frame.
  var teacher: Tensor
  /// Those of the new head's generations, for drifting: `[frames * draws, channels]`.
  var generations: Tensor?

  init(teacher: Tensor, generations: Tensor?) {
    self.teacher = teacher
    self.generations = generations
  }

  init(
    frames: Int, channels: Int, options: HeadDistillation, drifting: DriftingOptions,
    random: inout RandomNumbers
  ) {
    func noise(_ rows: Int) -> Tensor {
      Tensor(random.normal(rows * channels), shape: [rows, channels])
    }
    let samples = options.isDrifting ? options.samples : 1
    teacher = noise(frames * samples) * options.temperature.squareRoot()
    generations = options.isDrifting ? noise(frames * drifting.draws) : nil
  }
}

extension FlowLM {
  /// Backbone distillation: the mean square difference, over the places where the end of speech is
  /// scored, between what the heads would read and what they read of the teacher,
  /// z = z₀ + g (z₁ - z₀), where z₁ knows text and voice and z₀ neither (classifier-free guidance).
  func distillationLoss(
    of batch: [TrainingExample], teacher: FlowLM, guidance: Float, draws: TrainingDraws,
    options: LossOptions
  ) throws -> LossReport {
    let target = normalize(concatenateRows(batch.map(\.latents))).detached()
    func output(_ model: FlowLM, keeps: [Bool]?) -> Tensor {
      var draws = draws
      if let keeps { (draws.keepsText, draws.keepsVoice) = (keeps, keeps) }
      return model.outputs(
        batch, normalized: target, draws: draws, teachesEveryEnd: options.teachesEveryEnd,
        recomputing: options.recomputedLayers
      ).ends
    }
    var goal = output(teacher, keeps: batch.map { _ in true })
    if guidance != 1 {
      let free = output(teacher, keeps: batch.map { _ in false })
      goal = free + (goal - free) * guidance
    }
    let loss = (output(self, keeps: nil) - goal).squared().mean()
    return LossReport(
      loss: loss, metrics: ["distill_mse": Double(loss.scalar), "loss": Double(loss.scalar)])
  }

  /// Head distillation: the new head's one-step output against the frozen head's for the same noise, or
  /// drifting towards draws of the frozen head.
  func headDistillationLoss(
    of batch: [TrainingExample], teacher: FlowHead, distillation: HeadDistillation,
    draws: TrainingDraws, options: LossOptions, head: LearningHead
  ) throws -> LossReport {
    guard case .imitation(let noise) = draws.head else {
      preconditionFailure("the draws belong to another loss")
    }
    let target = normalize(concatenateRows(batch.map(\.latents))).detached()
    var whole = draws
    (whole.keepsText, whole.keepsVoice) = (batch.map { _ in true }, batch.map { _ in true })
    let z = outputs(
      batch, normalized: target, draws: whole, teachesEveryEnd: options.teachesEveryEnd,
      recomputing: 0
    ).frames
    let samples = noise.teacher.rows / max(1, z.rows)
    let imitated = teacher.samples(z, noise: noise.teacher, samples: samples)
    var report =
      if let generations = noise.generations {
        try head.drifting(
          conditions: z, samples: imitated, frames: z.rows, noise: generations, options: options)
      } else {
        try head.imitation(of: imitated, conditions: z, noise: noise.teacher)
      }
    report.metrics["head_loss"] = Double(report.loss.scalar)
    report.metrics["loss"] = Double(report.loss.scalar)
    return report
  }
}

extension FlowHead {
  /// Steps of a frozen head whose samples another learns: flow matching needs many.
  private var stepsOfTeacher: Int { type == .flowMatching ? 16 : 1 }

  /// Samples, some for each row of the condition, made piece by piece.
  fileprivate func samples(_ z: Tensor, noise: Tensor, samples: Int) -> Tensor {
    let times = stepTimes(stepsOfTeacher)
    let piece = LearningHead.rowsOfPiece
    return concatenateRows(
      stride(from: 0, to: noise.rows, by: piece).map { first in
        let rows = first..<min(noise.rows, first + piece)
        return sample(
          z.gatherRows(rows.map { Int32($0 / samples) }), noise: noise.rows(rows), times: times)
      })
  }
}

extension LearningHead {
  /// The mean square difference of one-step samples from given ones.
  fileprivate func imitation(of samples: Tensor, conditions: Tensor, noise: Tensor) throws
    -> LossReport
  {
    let rows = samples.rows
    let pieces = (rows + Self.rowsOfPiece - 1) / Self.rowsOfPiece
    let (loss, _) = try withParameters { names, values in
      try accumulatedSum(values, pieces: pieces) { piece, values in
        let range = piece * Self.rowsOfPiece..<min(rows, (piece + 1) * Self.rowsOfPiece)
        let parameters = Dictionary(uniqueKeysWithValues: zip(names, values))
        let head = try FlowHead(
          Weights(parameters, subject: "flow head")["flow_lm"]["flow_net"], configuration)
        let made = head.sample(
          conditions.rows(range), noise: noise.rows(range), times: head.stepTimes(1))
        let share = Float(range.count) / Float(rows)
        return ((made - samples.rows(range)).squared().mean() * share, ())
      }
    }
    return LossReport(loss: loss, metrics: [:])
  }
}
