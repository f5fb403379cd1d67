import Glibc
public import Tensors

func exponential(_ x: Float) -> Float { expf(x) }

/// Conditional flow matching (Lipman et al., 2023) with the official trainer's small remaining noise:
/// x_t = (1 - (1 - σ) t) e + t x, regressed on x - (1 - σ) e, σ = 0.001; the mean over rows and
/// channels.
///
/// - Parameters:
///   - target: x, `[rows, channels]`.
///   - noise: e, standard normal.
///   - time: `[rows, 1]`, uniform in [0, 1].
///   - velocity: the head.
/// - Returns: the loss, `[1]`.
public func flowMatchingLoss(
  target: Tensor, noise: Tensor, time: Tensor, velocity: (_ t: Tensor, _ x: Tensor) -> Tensor
) -> Tensor {
  let keep: Float = 1 - 0.001
  let x = noise * (1 - time * keep) + target * time
  return (velocity(time, x) - (target - noise * keep)).squared().mean()
}
