public import Tensors

/// What drifting is made with; the start values are the official ones.
public struct DriftingOptions: Sendable, Hashable {
  /// By what the drift is divided.
  public enum Normalization: String, Sendable, CaseIterable {
    /// The mean over positions of its root mean square.
    case batch
    /// Its root mean square at each position.
    case position
    /// Nothing.
    case none
  }

  /// Weight of the loss that the temperature learns by; 0 leaves it as it is.
  public var temperatureWeight: Float = 1
  /// Generations at each position.
  public var draws = 64
  /// By what the drift is divided.
  public var normalization = Normalization.batch
  /// What mean distances are at least taken for.
  public var smallestScale: Float = 1e-3
  /// What the temperature is at least taken for.
  public var smallestTemperature: Float = 1e-3

  /// The official settings.
  public init() {}
}

/// A drifting loss and its parts, as the official trainer reports them.
public struct DriftingLoss: Sendable {
  /// What is minimised: `[1]`.
  public var loss: Tensor
  /// `drifting_loss`, `temp`, `std_mean`.
  public var metrics: [String: Double]
}

/// The loss of drifting models (arXiv 2602.04770), as the official trainer computes it: generations of
/// a one-step generator are regressed on where a field moves them, which attracts them to the data
/// and keeps them apart from each other. The temperature of the field's kernel learns to give the
/// data as much of the mass as it can at the generation nearest to it.
///
/// Generations are made twice, first for the field alone and then, piece by piece, with gradients, so
/// that memory holds one piece.
///
/// - Parameters:
///   - samples: of the data: `[positions * samples, channels]`, position by position.
///   - positions: how many there are.
///   - temperature: `[1]`, may be recorded.
///   - inputs: what generations are made of and may be recorded.
///   - piece: positions whose generations are in memory at a time.
///   - generate: the generations of some positions, `[positions * draws, channels]`, position by
///     position.
public func driftingLoss(
  samples: Tensor, positions: Int, temperature: Tensor, options: DriftingOptions,
  inputs: [Tensor], piece: Int,
  generate: @Sendable (_ positions: Range<Int>, _ inputs: [Tensor]) throws -> Tensor
) throws -> DriftingLoss {
  let pieces = (positions + piece - 1) / piece
  let perPosition = samples.rows / max(1, positions)
  let heat = max(temperature.scalar, options.smallestTemperature)
  @Sendable func range(_ number: Int) -> Range<Int> {
    number * piece..<min(positions, (number + 1) * piece)
  }
  let constants = inputs.map { $0.detached() }
  // A sum of nothing: the fields are made like the pieces of one.
  let (_, fields) = try accumulatedSum(constants, pieces: pieces) { number, constants in
    let range = range(number)
    let field = DriftField(
      generations: try generate(range, constants).detached(), draws: options.draws,
      samples: samples.rows(perPosition * range.lowerBound..<perPosition * range.upperBound)
        .detached(),
      positions: range.count, temperature: heat, smallestScale: options.smallestScale)
    return (Tensor([0]), field)
  }
  func mean(_ values: (DriftField) -> [Float]) -> Double {
    fields.reduce(0) { $0 + values($1).reduce(0) { $0 + Double($1) } } / Double(max(1, positions))
  }
  let strength = Float(mean(\.strengths))
  let (drifting, _) = try accumulatedSum(inputs, pieces: pieces) { number, values in
    let (field, range) = (fields[number], range(number))
    func column(_ values: [Float]) -> Tensor {
      Tensor(
        values.flatMap { Array(repeating: $0, count: options.draws) },
        shape: [range.count * options.draws, 1])
    }
    let normalizers: [Float] =
      switch options.normalization {
      case .batch: field.strengths.map { _ in 1 / strength }
      case .position: field.strengths.map { 1 / $0 }
      case .none: field.strengths.map { _ in 1 }
      }
    let x = try generate(range, values) * column(field.scales.map { 1 / $0 })
    let goal = x.detached() + field.drift * column(normalizers)
    return ((x - goal).squared().mean() * (Float(range.count) / Float(positions)), ())
  }
  // Below its smallest value the temperature has no slope.
  let slope = temperature.scalar > options.smallestTemperature ? -mean(\.slopes) : 0
  let masses = scalar(
    Float(-mean(\.logMasses)), gradients: [Tensor([Float(slope)])], of: [temperature])
  return DriftingLoss(
    loss: drifting + masses * options.temperatureWeight,
    metrics: [
      "drifting_loss": Double(drifting.scalar), "temp": Double(temperature.scalar),
      "std_mean": mean(\.spreads),
    ])
}
