import Base
import Glibc
import NeuralNetworks
import Tensors

/// Spectra as the denoiser reads and writes them: magnitude, cosine and sine of the phase.
struct DenoiserSpectrum: Sendable {
  /// The parts of a spectrum, each `[batch, frames, bins]`.
  struct Parts: Sendable {
    var magnitude: Tensor
    var cosine: Tensor
    var sine: Tensor
  }

  private let transform: ShortTimeFourierTransform
  var bins: Int { transform.bins }
  /// The shortest recording that can be analysed.
  var fewestSamples: Int { transform.size / 2 + 1 }

  /// - Parameter hop: samples from one frame to the next; a frame has four times as many.
  init(hop: Int) {
    transform = ShortTimeFourierTransform(
      size: 4 * hop, hop: hop, window: hannWindow(4 * hop))
  }

  /// The parts of rows of samples `[batch, samples]`, of samples / hop frames: the last one is dropped. No
  /// gradient flows: they are data in every training.
  func analyze(_ samples: Tensor) -> Parts {
    let frames = samples.columns / transform.hop
    let spectrum = transform.spectrum(samples.detached(), padding: .reflection, frames: frames)
    let shape = [samples.rows, frames, bins]
    var (magnitude, cosine, sine) = (
      Tensor.zeros(shape), Tensor.zeros(shape), Tensor.zeros(shape)
    )
    let bins = bins
    spectrum.withValues { spectrum in
      magnitude.mutate { magnitudes in
        cosine.mutate { cosines in
          sine.mutate { sines in
            for row in 0..<samples.rows * frames {
              for bin in 0..<bins {
                // In double precision no magnitude above 0 vanishes when it is squared.
                let real = Double(spectrum[row * 2 * bins + bin])
                let imaginary = Double(spectrum[row * 2 * bins + bins + bin])
                let length = (real * real + imaginary * imaginary).squareRoot()
                let index = row * bins + bin
                magnitudes[index] = Float(length)
                cosines[index] = length > 0 ? Float(real / length) : 1
                sines[index] = length > 0 ? Float(imaginary / length) : 0
              }
            }
          }
        }
      }
    }
    return Parts(magnitude: magnitude, cosine: cosine, sine: sine)
  }

  /// Rows of so many samples with these spectra, zeros after their frames: `[batch, samples]`. The last frame
  /// stands for the one that was dropped as well. What is no number becomes 0.
  func synthesize(_ parts: Parts, samples: Int) -> Tensor {
    let shape = parts.magnitude.shape
    let (batch, frames) = (shape[0], shape[1])
    guard frames > 0 else { return Tensor.zeros([batch, samples]) }
    let spectrum = concatenateColumns([
      parts.magnitude * parts.cosine, parts.magnitude * parts.sine,
    ])
    let indices = (0..<batch).flatMap { row in
      (0...frames).map { Int32(row * frames + min($0, frames - 1)) }
    }
    let repeated = spectrum.gatherRows(indices).reshaped([batch, frames + 1, 2 * bins])
    let sound = transform.inverse(repeated).withoutNaNs()
    precondition(sound.columns <= samples, "no fewer samples than frames have")
    return sound.columns == samples
      ? sound : concatenateColumns([sound, Tensor.zeros([batch, samples - sound.columns])])
  }
}

/// Hann's window with a period of `size`.
func hannWindow(_ size: Int) -> [Float] {
  (0..<size).map { Float(0.5 - 0.5 * cos(2 * .pi * Double($0) / Double(size))) }
}

/// Numbers as they are, what is none as 0; so are their gradients.
private struct NumbersAlone: Operation {
  func value(_ inputs: [Tensor]) -> Tensor { masked(inputs[0], by: inputs[0]) }

  func readsInputs(_ wanted: [Bool]) -> [Bool] { [true] }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    [masked(gradient, by: inputs[0])]
  }

  private func masked(_ x: Tensor, by mask: Tensor) -> Tensor {
    var result = x.copied()
    mask.withValues { mask in
      result.mutate { values in
        for index in values.indices where mask[index].isNaN { values[index] = 0 }
      }
    }
    return result
  }
}

extension Tensor {
  fileprivate func withoutNaNs() -> Tensor {
    withValues { $0.contains(where: \.isNaN) } ? apply(NumbersAlone(), [self]) : self
  }
}
