public import Base
public import Tensors

/// What a flow loss draws for each row: noise and times.
public struct FlowDraws: Sendable {
  /// Standard normal noise e: `[rows, channels]`.
  public var noise: Tensor
  /// Times of the diagonal term: `[rows, 1]`.
  public var diagonal: Tensor
  /// Start times of the jumps: `[rows, 1]`.
  public var start: Tensor
  /// End times of the jumps: `[rows, 1]`, not before the start.
  public var end: Tensor

  /// Draws from given standard normal numbers.
  ///
  /// - Parameters:
  ///   - noise: `[rows, channels]`.
  ///   - diagonal: one number a row, behind the diagonal's time.
  ///   - jump: two numbers a row, behind the jump's times.
  public init(
    noise: Tensor, diagonal: [Float], jump: [Float], options: LSDOptions = LSDOptions(),
    path: FlowPath = .linear
  ) {
    func time(_ normal: Float) -> Float {
      path.time(normal: normal, location: options.timeLocation, scale: options.timeScale)
    }
    self.noise = noise
    let rows = noise.rows
    self.diagonal = Tensor(diagonal.map(time), shape: [rows, 1])
    let pairs = (0..<rows).map { (time(jump[2 * $0]), time(jump[2 * $0 + 1])) }
    start = Tensor(pairs.map { min($0.0, $0.1) }, shape: [rows, 1])
    end = Tensor(pairs.map { max($0.0, $0.1) }, shape: [rows, 1])
  }

  /// Those of some rows.
  public func rows(_ range: Range<Int>) -> FlowDraws {
    var part = self
    part.noise = noise.rows(range)
    part.diagonal = diagonal.rows(range)
    part.start = start.rows(range)
    part.end = end.rows(range)
    return part
  }

  /// Draws for some rows from a generator, always in the same order.
  public init(
    rows: Int, channels: Int, options: LSDOptions, path: FlowPath, random: inout RandomNumbers
  ) {
    let noise = Tensor(random.normal(rows * channels), shape: [rows, channels])
    let diagonal = random.normal(rows)
    self.init(
      noise: noise, diagonal: diagonal, jump: random.normal(2 * rows), options: options, path: path)
  }
}

/// What Lagrangian self-distillation is made with; the start values are the official ones.
public struct LSDOptions: Sendable, Hashable {
  /// Share of the diagonal term in the loss.
  public var diagonalShare: Float = 0.75
  /// Location of the logit-normal law of times.
  public var timeLocation: Float = 0.4
  /// Scale of that law.
  public var timeScale: Float = 1
  /// Whether the terms are weighted by a learned precision.
  public var isWeighted = true
  /// Whether the distillation target is wholly constant (`classic`) rather than constant in the
  /// parameters only (`minimal`).
  public var stopsTargetGradient = false
  /// Probability of computing the distillation term in a micro-batch.
  public var distillationProbability: Float = 0.25

  /// The official settings.
  public init() {}
}

/// A flow loss and its parts, as the official trainer reports them.
public struct FlowLoss: Sendable {
  /// The mean over rows that is minimised: `[1]`.
  public var loss: Tensor
  /// Mean squared error of the diagonal term, summed over channels.
  public var diagonal: Double
  /// Mean squared error of the distillation term, summed over channels; nil when it was skipped.
  public var distillation: Double?
}

/// The log-precision of a term as a function of its two times: `[rows, 1]`.
public typealias LogPrecision = (_ start: Tensor, _ end: Tensor) -> Tensor

/// The Lagrangian self-distillation loss (Boffi, Albergo and Vanden-Eijnden, 2025), as the official
/// trainer computes it.
///
/// x_t = t x + (1 - t) e, t = 0 being noise. On the diagonal the head's velocity at (t, t) is
/// regressed on x - e: flow matching. Off the diagonal the jump X(s, t) = x_s + (t - s) v(s, t, x_s)
/// has to move, in t, with the velocity found where it lands: ∂X/∂t = v(t, t, X). The derivative is
/// a Jacobian-vector product, computed by tangents and differentiated exactly.
///
/// Each term may be weighted by a learned precision: exp(w) D / C - w.
///
/// - Parameters:
///   - target: x, `[rows, channels]`.
///   - draws: noise and times.
///   - options: the share of the diagonal term and how the other's target is held.
///   - distillationWeight: weight of the other term; nil to skip it.
///   - path: says in which velocity errors are measured.
///   - velocity: the head with its parameters and conditioning.
///   - frozenVelocity: the same head with constant parameters and conditioning.
///   - logPrecision: w; nil for plain sums over channels.
public func lsdLoss(
  target: Tensor, draws: FlowDraws, options: LSDOptions, distillationWeight: Float?,
  path: FlowPath = .linear,
  velocity: (_ start: Tensor, _ end: Tensor, _ x: Tensor) -> Tensor,
  frozenVelocity: (_ start: Tensor, _ end: Tensor, _ x: Tensor) -> Tensor,
  logPrecision: LogPrecision?
) -> FlowLoss {
  let channels = Float(target.columns)
  func interpolate(_ t: Tensor) -> Tensor { target * t + draws.noise * (1 - t) }
  func squares(_ difference: Tensor, at time: Tensor) -> Tensor {
    let errors = difference.squared().rowSums()
    return path.errorWeight(time).map { errors * $0 } ?? errors
  }
  func weighted(_ error: Tensor, _ start: Tensor, _ end: Tensor) -> Tensor {
    guard let w = logPrecision?(start, end) else { return error }
    return w.exp() * error * (1 / channels) - w
  }

  let t = draws.diagonal
  let diagonal = squares(velocity(t, t, interpolate(t)) - (target - draws.noise), at: t)
  let diagonalLoss = weighted(diagonal, t, t).mean() * options.diagonalShare
  guard let distillationWeight else {
    return FlowLoss(
      loss: diagonalLoss, diagonal: Double(diagonal.mean().scalar), distillation: nil)
  }

  let (s, u) = (draws.start, draws.end)
  let start = interpolate(s)
  // The derivative in the end time alone.
  let moving = u.attaching(tangent: Tensor(repeating: 1, shape: u.shape))
  let jumped = start + velocity(s, moving, start) * (moving - s)
  guard let derivative = jumped.tangent else { preconditionFailure("the jump depends on its end") }
  let landing = jumped.withoutTangent()
  let field =
    options.stopsTargetGradient
    ? frozenVelocity(u, u, landing.detached()).detached() : frozenVelocity(u, u, landing)
  let distillation = squares(derivative - field, at: u)
  let loss = diagonalLoss + weighted(distillation, s, u).mean() * distillationWeight
  return FlowLoss(
    loss: loss, diagonal: Double(diagonal.mean().scalar),
    distillation: Double(distillation.mean().scalar))
}
