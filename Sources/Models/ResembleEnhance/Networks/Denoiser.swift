import NeuralNetworks
import Tensors

/// Takes noise away by a mask over the spectrum and a turn of its phases, both of a U-Net.
struct Denoiser: Sendable {
  private let net: UNet
  private let spectrum: DenoiserSpectrum

  /// - Parameters:
  ///   - weights: of the denoiser.
  ///   - hop: samples of a frame.
  init(_ weights: Weights, _ sizes: DenoiserSizes, hop: Int) throws {
    net = try UNet(
      weights["net"], width: sizes.width, levels: sizes.levels, middle: sizes.middle)
    spectrum = DenoiserSpectrum(hop: hop)
  }

  /// - Parameter samples: `[batch, samples]`, at least ``fewestSamples`` of them.
  /// - Returns: `[batch, samples]`, as if each row's peak were 1.
  func callAsFunction(_ samples: Tensor) -> Tensor {
    let heard = spectrum.analyze(samples.withPeakOfOne())
    let (mask, cosine, sine) = change(heard)
    let denoised = DenoiserSpectrum.Parts(
      magnitude: (heard.magnitude * mask).relu(),
      cosine: heard.cosine * cosine - heard.sine * sine,
      sine: heard.sine * cosine + heard.cosine * sine)
    return spectrum.synthesize(denoised, samples: samples.columns)
  }

  /// The fewest samples that it can take.
  var fewestSamples: Int { spectrum.fewestSamples }

  /// What the network makes of a spectrum: a mask, and the cosine and sine of a turn, each
  /// `[batch, frames, bins]`.
  func change(_ heard: DenoiserSpectrum.Parts) -> (mask: Tensor, cosine: Tensor, sine: Tensor) {
    let shape = heard.magnitude.shape
    let parts = [heard.magnitude, heard.cosine, heard.sine].map { $0.reshaped(shape + [1]) }
    let maps = net(concatenateColumns(parts).permuted([0, 2, 1, 3])).permuted([0, 2, 1, 3])
      .splitColumns(3).map { $0.reshaped(shape) }
    let (real, imaginary) = (maps[1].tanh(), maps[2].tanh())
    let scale = (real.squared() + imaginary.squared() + 1e-7).rsqrt()
    return (maps[0].sigmoid(), real * scale, imaginary * scale)
  }
}

extension Tensor {
  /// Rows of samples, each divided by its largest absolute value. Data: no gradient flows.
  func withPeakOfOne() -> Tensor {
    var result = detached()
    let count = columns
    result.mutate { values in
      for start in stride(from: 0, to: values.count, by: max(1, count)) {
        let peak = values[start..<start + count].reduce(0) { max($0, abs($1)) } + 1e-7
        for index in start..<start + count { values[index] /= peak }
      }
    }
    return result
  }
}
