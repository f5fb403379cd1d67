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

  /// The location of the logit-normal law of times.
  public static let location: Float = 0.4
  /// Its scale.
  public static let scale: Float = 1

  /// Draws from given standard normal numbers.
  ///
  /// - Parameters:
  ///   - noise: `[rows, channels]`.
  ///   - diagonal: one number a row, behind the diagonal's time.
  ///   - jump: two numbers a row, behind the jump's times.
  public init(noise: Tensor, diagonal: [Float], jump: [Float]) {
    func time(_ logit: Float) -> Float { 1 / (1 + exponential(-logit)) }
    func logit(_ normal: Float) -> Float { Self.location + Self.scale * normal }
    self.noise = noise
    let rows = noise.rows
    self.diagonal = Tensor(diagonal.map { time(logit($0)) }, shape: [rows, 1])
    let pairs = (0..<rows).map { (logit(jump[2 * $0]), logit(jump[2 * $0 + 1])) }
    start = Tensor(pairs.map { time(min($0.0, $0.1)) }, shape: [rows, 1])
    end = Tensor(pairs.map { time(max($0.0, $0.1)) }, shape: [rows, 1])
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
  public init(rows: Int, channels: Int, random: inout RandomNumbers) {
    let noise = Tensor(random.normal(rows * channels), shape: [rows, channels])
    let diagonal = random.normal(rows)
    self.init(noise: noise, diagonal: diagonal, jump: random.normal(2 * rows))
  }
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
/// Each term is weighted by a learned precision: exp(w) D / C - w.
///
/// - Parameters:
///   - target: x, `[rows, channels]`.
///   - draws: noise and times.
///   - diagonalWeight: share of the diagonal term (officially 0.75).
///   - distillationWeight: weight of the other term; nil to skip it.
///   - stopsTargetGradient: `classic` (the target is a constant) rather than `minimal` (the target
///     is constant in the parameters, not in where it is evaluated).
///   - velocity: the head with its parameters and conditioning.
///   - frozenVelocity: the same head with constant parameters and conditioning.
///   - logPrecision: w.
public func lsdLoss(
  target: Tensor, draws: FlowDraws, diagonalWeight: Float = 0.75, distillationWeight: Float?,
  stopsTargetGradient: Bool,
  velocity: (_ start: Tensor, _ end: Tensor, _ x: Tensor) -> Tensor,
  frozenVelocity: (_ start: Tensor, _ end: Tensor, _ x: Tensor) -> Tensor,
  logPrecision: LogPrecision
) -> FlowLoss {
  let channels = Float(target.columns)
  func interpolate(_ t: Tensor) -> Tensor { target * t + draws.noise * (1 - t) }
  func weighted(_ error: Tensor, _ start: Tensor, _ end: Tensor) -> Tensor {
    let w = logPrecision(start, end)
    return w.exp() * error * (1 / channels) - w
  }

  let t = draws.diagonal
  let diagonal =
    (velocity(t, t, interpolate(t)) - (target - draws.noise)).squared().rowSums()
  let diagonalLoss = weighted(diagonal, t, t).mean() * diagonalWeight
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
    stopsTargetGradient
    ? frozenVelocity(u, u, landing.detached()).detached() : frozenVelocity(u, u, landing)
  let distillation = (derivative - field).squared().rowSums()
  let loss = diagonalLoss + weighted(distillation, s, u).mean() * distillationWeight
  return FlowLoss(
    loss: loss, diagonal: Double(diagonal.mean().scalar),
    distillation: Double(distillation.mean().scalar))
}
