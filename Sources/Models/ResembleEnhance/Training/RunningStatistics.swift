import Tensors

/// The mean and the variance of all that was heard so far, by a running average with a momentum of 0.01.
struct RunningStatistics: Sendable, Equatable {
  /// Not numbers before anything was heard.
  var mean: Float
  /// Not a number before anything was heard.
  var variance: Float

  private static let momentum = 0.01

  /// Moves towards the mean of some values, and to their variance around the mean that it then has; the
  /// first ones set both.
  mutating func move(towards values: Tensor) {
    let mean = values.withValues { $0.reduce(0.0) { $0 + Double($1) } } / Double(values.count)
    if self.mean.isNaN {
      self.mean = Float(mean)
      // Of a sample: unbiased.
      variance = Float(
        deviation(values, from: mean) * Double(values.count) / Double(max(1, values.count - 1)))
      return
    }
    self.mean = Float((1 - Self.momentum) * Double(self.mean) + Self.momentum * mean)
    variance = Float(
      (1 - Self.momentum) * Double(variance)
        + Self.momentum * deviation(values, from: Double(self.mean)))
  }

  private func deviation(_ values: Tensor, from mean: Double) -> Double {
    values.withValues { values in
      values.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) }
    } / Double(values.count)
  }
}
