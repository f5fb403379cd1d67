import Glibc
import ModelInterface
import Tensors

/// From noise to latents along the velocities of a ``FlowNetwork``: conditional flow matching (Lipman et al.,
/// 2023).
struct Flow: Sendable {
  let network: FlowNetwork
  let embedding: TimeEmbedding
  let times: FlowTimes

  /// Steps that a solver makes with so many evaluations. One evaluation is always a step of Euler's.
  static func steps(_ solver: FlowSolver, evaluations: Int) -> (solver: FlowSolver, steps: Int) {
    switch solver {
    case .euler: (.euler, evaluations)
    case _ where evaluations == 1: (.euler, 1)
    case .midpoint: (.midpoint, evaluations / 2)
    case .rk4: (.rk4, evaluations / 4)
    }
  }

  /// Follows the flow from time 0 to time 1.
  ///
  /// - Parameters:
  ///   - start: `[1, frames, latents]`.
  ///   - condition: a normalised log-mel, `[1, frames, bands]`.
  ///   - onStep: called before each evaluation; what it throws ends the work.
  func solve(
    from start: Tensor, condition: Tensor, solver: FlowSolver, evaluations: Int,
    onStep: () throws -> Void
  ) rethrows -> Tensor {
    let conditions = network.conditions(condition)
    func velocity(_ time: Double, _ psi: Tensor) throws -> Tensor {
      try onStep()
      let time = min(max(Float(time), 0), 1)
      return network(psi, time: embedding([time]), conditions: conditions)
    }
    let (solver, steps) = Self.steps(solver, evaluations: evaluations)
    var psi = start
    for step in 0..<steps {
      let t = times.at(Double(step) / Double(steps))
      let dt = times.at(Double(step + 1) / Double(steps)) - t
      switch solver {
      case .euler: psi = try psi + velocity(t, psi) * Float(dt)
      case .midpoint:
        let half = try psi + velocity(t, psi) * Float(dt / 2)
        psi = try psi + velocity(t + dt / 2, half) * Float(dt)
      case .rk4:
        let k1 = try velocity(t, psi)
        let k2 = try velocity(t + dt / 2, psi + k1 * Float(dt / 2))
        let k3 = try velocity(t + dt / 2, psi + k2 * Float(dt / 2))
        let k4 = try velocity(t + dt, psi + k3 * Float(dt))
        psi = psi + (k1 + k2 * 2 + k3 * 2 + k4) * Float(dt / 6)
      }
    }
    return psi
  }
}

/// The times at which steps of a solver stand: (aˢ - 1) / (a - 1), small steps near the latents.
struct FlowTimes: Sendable {
  private let base: Double

  /// - Parameter divisor: half of the time is over after this part of the steps.
  init(divisor: Int) {
    // With b = a^(1 / divisor): b + b² + … + b^(divisor - 1) = 1. Newton's method from above.
    var b = 1.0
    for _ in 0..<100 {
      var (value, slope) = (-1.0, 0.0)
      for power in 1..<max(2, divisor) {
        value += pow(b, Double(power))
        slope += Double(power) * pow(b, Double(power - 1))
      }
      b -= value / slope
    }
    base = pow(b, Double(divisor))
  }

  /// - Parameter part: of the steps, 0 to 1.
  func at(_ part: Double) -> Double {
    base == 1 ? part : (pow(base, part) - 1) / (base - 1)
  }
}
