public import Tensors

/// The optimiser of a group of parameters: AdamW, or Muon on the matrices that suit it and AdamW on the rest.
public struct Optimizer: Sendable {
  /// What a run does not change while it goes on.
  public struct Settings: Sendable, Hashable {
    /// Of AdamW; its weight decay is that of both.
    public var adamW = AdamW.Settings()
    /// Of Muon; nil: AdamW on all.
    public var muon: Muon.Settings?

    /// The official settings.
    public init() {}
  }

  /// Steps made.
  public internal(set) var steps = 0
  /// On what Muon does not change.
  public internal(set) var adamW: AdamW
  /// nil when AdamW changes all.
  public internal(set) var muon: Muon?
  /// The learning rate's highest value, which Muon's step belongs to.
  private let highestRate: Double

  /// An optimiser that has made no step.
  ///
  /// - Parameters:
  ///   - parameters: what it changes.
  ///   - decays: whether weight decay applies to a parameter.
  ///   - orthogonalBlocks: the rows of the linear maps that share a matrix, where Muon may change it.
  ///   - highestRate: of the schedule.
  public init(
    _ settings: Settings, for parameters: ParameterSet, decays: (String) -> Bool,
    orthogonalBlocks: (String) -> [Int]?, highestRate: Double
  ) {
    self.highestRate = highestRate
    func blocks(_ name: String) -> [Int]? {
      settings.muon == nil ? nil : orthogonalBlocks(name)
    }
    let all = parameters.dictionary
    let matrices = ParameterSet(all.filter { blocks($0.key) != nil })
    adamW = AdamW(
      settings.adamW, for: ParameterSet(all.filter { blocks($0.key) == nil }),
      decays: decays)
    muon = settings.muon.map {
      Muon($0, momentum: matrices.zeros(), blocks: { blocks($0) ?? [] })
    }
  }

  /// Changes its parameters among some by one step. A parameter without gradient neither moves nor decays.
  ///
  /// - Parameters:
  ///   - gradients: one for each of all parameters, in order of names; nil where the loss does not depend on
  ///     it.
  ///   - scale: what the gradients are multiplied with first (clipping).
  ///   - rate: the learning rate.
  public mutating func step(
    _ parameters: inout ParameterSet, gradients: [Tensor?], scale: Double, rate: Double
  ) {
    steps += 1
    adamW.step(&parameters, gradients: gradients, scale: scale, rate: rate)
    guard let settings = muon?.settings, let names = muon?.momentum.names else { return }
    let places = parameters.places(of: names)
    let step = settings.matchesAdamW ? rate : rate * settings.rate / highestRate
    for (index, place) in places.enumerated() {
      guard let gradient = gradients[place] else { continue }
      muon?.step(
        &parameters.values[place], index: index, gradient: gradient * Float(scale), rate: step,
        decay: rate * adamW.settings.weightDecay)
    }
  }
}
