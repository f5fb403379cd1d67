import NeuralNetworks
import Tensors

/// How far the spectra of two sounds are apart, at three resolutions (Yamamoto et al., 2020, "Parallel
/// WaveGAN"): the vocoder's losses.
struct SpectralLoss: Sendable {
  /// What it consists of, each the mean of the three resolutions, `[1]`.
  struct Terms: Sendable {
    /// Spectral convergence: the norm of the differences over that of the target, of a whole batch. Where
    /// the target is silent, which no quotient describes, 0.
    var convergence: Tensor
    /// The mean distance of log(1 + magnitude).
    var magnitude: Tensor
  }

  /// Samples of a transform, from one to the next, and of the window.
  static let resolutions = [
    (size: 512, hop: 100, window: 400), (size: 1024, hop: 256, window: 1024),
    (size: 2048, hop: 512, window: 2048),
  ]

  private let transforms: [ShortTimeFourierTransform]

  init() {
    transforms = Self.resolutions.map {
      ShortTimeFourierTransform(size: $0.size, hop: $0.hop, window: hannWindow($0.window))
    }
  }

  /// - Parameters:
  ///   - prediction: `[batch, samples]`.
  ///   - target: `[batch, samples]`, a constant. The longer of both is cut.
  func callAsFunction(_ prediction: Tensor, _ target: Tensor) -> Terms {
    let count = min(prediction.columns, target.columns)
    let x = prediction.columns(0..<count)
    let y = target.detached().columns(0..<count)
    var (convergence, magnitude) = (Tensor.zeros([1]), Tensor.zeros([1]))
    for transform in transforms {
      let predicted = transform.spectrum(x, padding: .reflection).magnitudes()
      let expected = transform.spectrum(y, padding: .reflection).magnitudes()
      let norm = Float(expected.sumOfSquares.squareRoot())
      let squares = (predicted - expected).squared().sum()
      // The root has no derivative at 0, where nothing is left to learn.
      if norm > 0 && squares.scalar > 0 {
        convergence = convergence + squares.squareRoot() * (1 / norm)
      }
      let distance = (predicted + 1).log() - (expected + 1).log()
      magnitude = magnitude + distance.absolute().mean()
    }
    let share = 1 / Float(transforms.count)
    return Terms(convergence: convergence * share, magnitude: magnitude * share)
  }
}
