import Glibc

/// The learning rate by step: a linear warm-up, then constant, or down a line or a half cosine.
public struct LearningRate: Sendable, Hashable {
  /// What follows the warm-up.
  public enum Shape: String, Sendable, CaseIterable {
    /// The highest rate to the end.
    case constant
    /// Along a half cosine down to a share of the highest rate at the last step.
    case cosine
    /// Along a line down to it.
    case linear
  }

  /// The highest rate.
  public var highest: Double
  /// Steps of warm-up.
  public var warmup: Int
  /// What follows.
  public var shape: Shape
  /// The share of the highest rate that the cosine and the line end at.
  public var lowestShare: Double

  /// Whether the warm-up begins at the lowest rate too, and all comes one step late; see
  /// ``warmupDecay(lowest:highest:warmup:)``.
  private var isLate = false

  /// A schedule.
  public init(
    highest: Double, warmup: Int, shape: Shape = .constant, lowestShare: Double = 0
  ) {
    self.highest = highest
    self.warmup = warmup
    self.shape = shape
    self.lowestShare = lowestShare
  }

  /// DeepSpeed's WarmupDecayLR: a line up from the lowest rate, and down to it at the end. It moves after each
  /// step but the first: two steps have the lowest rate.
  public static func warmupDecay(lowest: Double, highest: Double, warmup: Int) -> LearningRate {
    var rate = LearningRate(
      highest: highest, warmup: max(2, warmup), shape: .linear, lowestShare: lowest / highest)
    rate.isLate = true
    return rate
  }

  /// The rate of a step, counted from 0, of a run of `steps` steps.
  public func rate(step: Int, of steps: Int) -> Double {
    if isLate { return lateRate(max(0, step - 1), of: steps) }
    if step < warmup { return highest * Double(step + 1) / Double(warmup) }
    let progress = min(1, Double(step - warmup) / Double(max(1, steps - warmup)))
    let lowest = highest * lowestShare
    switch shape {
    case .constant: return highest
    case .cosine: return lowest + 0.5 * (highest - lowest) * (1 + cos(.pi * progress))
    case .linear: return highest - (highest - lowest) * progress
    }
  }

  private func lateRate(_ step: Int, of steps: Int) -> Double {
    let share =
      step < warmup
      ? Double(step) / Double(warmup)
      : max(0, Double(steps - step) / Double(max(1, steps - warmup)))
    let lowest = highest * lowestShare
    return lowest + (highest - lowest) * share
  }
}
