import Glibc
import Tensors

/// The way from noise to data along which a flow is learned. The head always speaks of the linear
/// path, x_t = t x + (1 - t) e; another path says where on it the head is asked, and in which
/// velocity its errors are measured.
public enum FlowPath: String, Sendable, CaseIterable {
  /// Times by the logit-normal law, errors in dx_t/dt.
  case linear
  /// x_φ = cos φ · x + sin φ · e with angles that are uniform in (0, π/2), errors in dx_φ/dφ. By
  /// t = cos φ / (cos φ + sin φ) and x_t = x_φ / (cos φ + sin φ) it is the linear path, the errors of
  /// whose velocities are smaller by 1 / (cos φ + sin φ) = √(t² + (1 - t)²).
  case trigonometric

  /// The time behind a standard normal number.
  ///
  /// - Parameters:
  ///   - location: of the logit-normal law of times.
  ///   - scale: of that law.
  func time(normal: Float, location: Float, scale: Float) -> Float {
    switch self {
    case .linear: return 1 / (1 + exponential(-(location + scale * normal)))
    case .trigonometric:
      // The normal distribution function makes it uniform.
      let angle = 0.25 * Float.pi * erfcf(-normal * Float(0.5).squareRoot())
      return cosf(angle) / (cosf(angle) + sinf(angle))
    }
  }

  /// What squared errors of velocities at a time are multiplied with; nil: nothing.
  ///
  /// - Parameter time: `[rows, 1]`.
  func errorWeight(_ time: Tensor) -> Tensor? {
    self == .linear ? nil : time.squared() + (1 - time).squared()
  }
}
