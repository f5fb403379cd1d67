import Tensors

/// Muon (Jordan et al., 2024): momentum whose matrices are made orthogonal before they are added.
/// Weights that several linear maps share are made orthogonal one map at a time. In the official
/// trainer's settings.
public struct Muon: Sendable {
  /// What a run does not change while it goes on.
  public struct Settings: Sendable, Hashable {
    /// The step, where the learning rate of all else is at its highest.
    public var rate = 0.005
    /// How much of the momentum is kept.
    public var momentum = 0.95
    /// Whether steps are as large as AdamW's, 0.2 √max(rows, columns) (Liu et al., 2025), rather than
    /// √max(1, rows / columns); the rate is then that of all else.
    public var matchesAdamW = false
    /// Steps of the iteration that makes orthogonal.
    public var polarSteps = 6

    /// The official settings.
    public init() {}
  }

  /// What a run does not change while it goes on.
  public let settings: Settings
  /// The running mean of each matrix's gradient.
  public private(set) var momentum: ParameterSet
  /// For each matrix the rows of the maps that share it.
  private let blocks: [[Int]]

  /// An optimiser with some momentum: zeros when it has made no step.
  ///
  /// - Parameter blocks: the rows of the maps that share each matrix, by its name.
  public init(_ settings: Settings, momentum: ParameterSet, blocks: (String) -> [Int]) {
    self.settings = settings
    self.momentum = momentum
    self.blocks = momentum.names.map(blocks)
  }

  /// Becomes what a checkpoint holds.
  mutating func restore(momentum: ParameterSet) { self.momentum = momentum }

  /// Changes a parameter by one step.
  ///
  /// - Parameters:
  ///   - index: its place among those of this optimiser.
  ///   - gradient: already clipped.
  ///   - rate: the step.
  ///   - decay: the share that is taken off the parameter.
  mutating func step(
    _ parameter: inout Tensor, index: Int, gradient: Tensor, rate: Double, decay: Double
  ) {
    let kept = Float(settings.momentum)
    momentum.values[index].average(with: gradient, decay: kept)
    let ahead = gradient * (1 - kept) + momentum.values[index] * kept
    var (first, parts): (Int, [Tensor]) = (0, [])
    for rows in blocks[index] {
      let block = ahead.rows(first..<first + rows)
      let size =
        settings.matchesAdamW
        ? 0.2 * Double(max(rows, block.columns)).squareRoot()
        : max(1, Double(rows) / Double(block.columns)).squareRoot()
      parts.append(block.polarFactor(steps: settings.polarSteps) * Float(-rate * size))
      first += rows
    }
    parameter = parameter * Float(1 - decay) + concatenateRows(parts)
  }
}
