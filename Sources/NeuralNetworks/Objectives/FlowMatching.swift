import Glibc
public import Tensors

func exponential(_ x: Float) -> Float { expf(x) }

/// Conditional flow matching (Lipman et al., 2023) with the official trainer's small remaining noise:
/// x_t = (1 - (1 - σ) t) e + t x, regressed on x - (1 - σ) e; the mean over rows and channels.
///
/// - Parameters:
///   - target: x, `[rows, channels]`.
///   - noise: e, standard normal.
///   - time: `[rows, 1]`, uniform in [0, 1].
///   - remainingNoise: σ, officially 0.001.
///   - path: with the trigonometric one σ should be 0, for its conversions to be exact.
///   - velocity: the head.
/// - Returns: the loss, `[1]`.
public func flowMatchingLoss(
  target: Tensor, noise: Tensor, time: Tensor, remainingNoise: Float = 0.001,
  path: FlowPath = .linear, velocity: (_ t: Tensor, _ x: Tensor) -> Tensor
) -> Tensor {
  let keep = 1 - remainingNoise
  let x = noise * (1 - time * keep) + target * time
  let errors = (velocity(time, x) - (target - noise * keep)).squared()
  return (path.errorWeight(time).map { errors * $0 } ?? errors).mean()
}
