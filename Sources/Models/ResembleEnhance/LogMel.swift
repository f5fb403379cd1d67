import Base
import Glibc
import NeuralNetworks
import Tensors

/// Levels of a recording in bands of the mel scale: what the enhancer hears and what it writes.
///
/// Pre-emphasis, magnitudes of short-time spectra (centred frames, zeros around the recording), the filter
/// bank, then (20 · log10(max(·, floor)) - low) / (15 - low) with low = 20 · log10(floor): silence is 0. The
/// last frame is dropped: T = samples / hop.
struct LogMel: Sendable {
  /// `[bands, bins]`; packed, so that the precision of training does not matter to it.
  private let bank: PackedMatrix
  private let transform: ShortTimeFourierTransform
  private let floor: Float
  private let preEmphasis: Float
  /// Room above full scale, in dB.
  private static let headroom: Float = 15

  /// Samples from one frame to the next.
  var hop: Int { transform.hop }
  var bands: Int { bank.rows }

  /// - Parameters:
  ///   - window: `[size of the window]`.
  ///   - bank: `[bins, bands]`, as the package stores it.
  ///   - floor: the least magnitude in a band.
  ///   - preEmphasis: the share of the sample before that is taken off each.
  init(window: Tensor, bank: Tensor, size: Int, hop: Int, floor: Float, preEmphasis: Float) {
    precondition(bank.shape.count == 2 && bank.shape[0] == size / 2 + 1, "a row a bin")
    self.bank = PackedMatrix(bank.transposed())
    transform = ShortTimeFourierTransform(size: size, hop: hop, window: window.values)
    self.floor = floor
    self.preEmphasis = preEmphasis
  }

  /// The levels of rows of samples: `[batch, samples]` to `[batch, samples / hop, bands]`. No gradient flows.
  func callAsFunction(_ samples: Tensor) -> Tensor {
    let frames = samples.columns / hop
    let spectrum = transform.spectrum(
      emphasized(samples.detached()), padding: .zeros, frames: frames)
    var levels = spectrum.magnitudes().product(bank)
    let low = 20 * log10(floor)
    let (floor, scale) = (floor, 1 / (Self.headroom - low))
    levels.mutate { values in
      for index in values.indices {
        values[index] = (20 * log10(max(values[index], floor)) - low) * scale
      }
    }
    return levels
  }

  private func emphasized(_ samples: Tensor) -> Tensor {
    var result = samples.copied()
    result.mutate { values in
      for start in stride(from: 0, to: values.count, by: max(1, samples.columns)) {
        for index in stride(from: start + samples.columns - 1, to: start, by: -1) {
          values[index] -= preEmphasis * values[index - 1]
        }
      }
    }
    return result
  }
}

extension Tensor {
  /// A matrix with its rows as columns; no gradient flows.
  fileprivate func transposed() -> Tensor {
    let values = values
    let (rows, columns) = (rows, columns)
    return Tensor(
      (0..<rows * columns).map { values[$0 % rows * columns + $0 / rows] }, shape: [columns, rows])
  }
}
