import Base

extension Failure {
  static func nonFiniteGradient(_ name: String, step: Int) -> Failure {
    Failure(
      .badInput, problem: "the gradient of '\(name)' is not finite at step \(step)",
      remedy: "lower --lr or lengthen --warmup; the last checkpoint is whole")
  }
}
