/// Parameters that are optimised together: with one schedule, and a norm that is theirs.
public struct ParameterGroup: Sendable {
  /// Part of the names of its metrics, `grad_norm_NAME`, unless it is the first one.
  public var name: String
  /// The parameters.
  public var names: Set<String>
  /// The learning rate by step of this group.
  public var rate: LearningRate
  /// The norm that its gradients are clipped to; 0 for no clipping.
  public var clip: Double
  /// The optimiser's settings.
  public var optimizer: Optimizer.Settings
  /// Whether weight decay applies to a parameter.
  public var decays: @Sendable (String) -> Bool
  /// The rows of the linear maps that share a matrix, where Muon may change it; nil for others.
  public var orthogonalBlocks: @Sendable (String) -> [Int]?

  /// Parameters that are optimised together.
  public init(
    _ name: String, _ names: Set<String>, rate: LearningRate, clip: Double,
    optimizer: Optimizer.Settings, decays: @escaping @Sendable (String) -> Bool = { _ in true },
    orthogonalBlocks: @escaping @Sendable (String) -> [Int]? = { _ in nil }
  ) {
    self.name = name
    self.names = names
    self.rate = rate
    self.clip = clip
    self.optimizer = optimizer
    self.decays = decays
    self.orthogonalBlocks = orthogonalBlocks
  }
}

extension Optimizer {
  /// An optimiser of a group that has made no step.
  ///
  /// - Parameter parameters: of all groups.
  init(_ group: ParameterGroup, among parameters: ParameterSet) {
    self.init(
      group.optimizer,
      for: ParameterSet(parameters.dictionary.filter { group.names.contains($0.key) }),
      decays: group.decays, orthogonalBlocks: group.orthogonalBlocks,
      highestRate: group.rate.highest)
  }
}
