import Base
import Glibc
public import Tensors

/// AdamW with decoupled weight decay, in the official trainer's settings.
public struct AdamW: Sendable {
  /// What a run does not change while it goes on.
  public struct Settings: Sendable, Hashable {
    /// How much of the first moment is kept.
    public var firstDecay = 0.9
    /// How much of the second moment is kept.
    public var secondDecay = 0.95
    /// Added to the root of the second moment.
    public var epsilon = 1e-8
    /// Weight decay of the parameters that decay.
    public var weightDecay = 0.1

    /// The official settings.
    public init() {}

    /// Adam as PyTorch has it, without weight decay.
    public static var adam: Settings {
      var settings = Settings()
      settings.secondDecay = 0.999
      settings.weightDecay = 0
      return settings
    }
  }

  /// What a run does not change while it goes on.
  public let settings: Settings
  /// Steps made by each parameter, in order of names: as in the official optimiser, one without
  /// gradient makes none.
  public private(set) var steps: [Int]
  /// The running mean of each parameter's gradient.
  public private(set) var first: ParameterSet
  /// The running mean of its square.
  public private(set) var second: ParameterSet
  private let decays: [Bool]

  /// An optimiser that has made no step.
  ///
  /// - Parameter decays: whether weight decay applies to a parameter.
  public init(_ settings: Settings, for parameters: ParameterSet, decays: (String) -> Bool) {
    self.settings = settings
    steps = parameters.names.map { _ in 0 }
    first = parameters.zeros()
    second = parameters.zeros()
    self.decays = parameters.names.map(decays)
  }

  /// Becomes what a checkpoint holds.
  mutating func restore(steps: [Int], first: ParameterSet, second: ParameterSet) {
    (self.steps, self.first, self.second) = (steps, first, second)
  }

  /// Changes its parameters among some by one step. A parameter without gradient neither moves nor
  /// decays.
  ///
  /// - Parameters:
  ///   - gradients: one for each parameter, in order of names; nil where the loss does not depend
  ///     on it.
  ///   - scale: what the gradients are multiplied with first (clipping).
  ///   - rate: the learning rate.
  public mutating func step(
    _ parameters: inout ParameterSet, gradients: [Tensor?], scale: Double, rate: Double
  ) {
    for (index, place) in parameters.places(of: first.names).enumerated() {
      guard let gradient = gradients[place] else { continue }
      steps[index] += 1
      let power = Double(steps[index])
      let step = AdamWStep(
        gradientScale: Float(scale), rate: Float(rate), firstDecay: Float(settings.firstDecay),
        secondDecay: Float(settings.secondDecay),
        firstCorrection: Float(1 - pow(settings.firstDecay, power)),
        secondCorrection: Float(1 - pow(settings.secondDecay, power)),
        epsilon: Float(settings.epsilon),
        weightDecay: decays[index] ? Float(settings.weightDecay) : 0)
      parameters.values[place].step(
        step, gradient: gradient, first: &first.values[index], second: &second.values[index])
    }
  }
}

/// What gradients are multiplied with so that their norm is at most `limit`; the official formula.
public func clipScale(norm: Double, limit: Double) -> Double {
  limit > 0 ? min(1, limit / (norm + 1e-6)) : 1
}
