import Glibc
import NeuralNetworks
import Tensors

/// How far one version of a stretch of sound lies behind another, in samples: the package's search, which
/// correlates levels in mel bands.
struct ChunkLag: Sendable {
  private static let rate = 44100
  private static let hop = rate / 200
  private static let size = 1024
  private static let bands = 80
  private let transform = ShortTimeFourierTransform(
    size: size, hop: hop, window: hannWindow(4 * hop))
  /// `[bands, bins]`
  private let bank = PackedMatrix(filterBank())

  /// The fewest samples that can be searched.
  static let fewestSamples = size / 2 + 1

  /// The largest lag between stretches of so many samples, either way.
  static func largest(_ samples: Int) -> Int { (samples / hop + 1) / 2 * hop }

  /// Triangles on the mel scale 2595 · log10(1 + f / 700), each half over its neighbours, of height 1.
  private static func filterBank() -> Tensor {
    let top = 2595 * log10(1 + Double(rate / 2) / 700)
    let edges = (0...bands + 1).map {
      700 * (pow(10, top * Double($0) / Double(bands + 1) / 2595) - 1)
    }
    let values = (0..<bands).flatMap { band in
      (0...size / 2).map { bin -> Float in
        let frequency = Double(bin) * Double(rate) / Double(size)
        let up = (frequency - edges[band]) / (edges[band + 1] - edges[band])
        let down = (edges[band + 2] - frequency) / (edges[band + 2] - edges[band + 1])
        return Float(max(0, min(up, down)))
      }
    }
    return Tensor(values, shape: [bands, size / 2 + 1])
  }

  /// How many samples `second` has to be moved towards its beginning to lie on `first`; a negative number
  /// moves it towards its end.
  ///
  /// - Parameters:
  ///   - first: at least ``fewestSamples``.
  ///   - second: as many.
  func callAsFunction(_ first: [Float], _ second: [Float]) -> Int {
    let (a, b) = (levels(first), levels(second))
    let frames = a.count / Self.bands
    // Mean over the bands of circular correlations; all levels are at least 0.
    var best = (shift: 0, sum: -1.0)
    for shift in 0..<frames {
      var sum = 0.0
      for frame in 0..<frames {
        let (x, y) = ((frame + shift) % frames * Self.bands, frame * Self.bands)
        for band in 0..<Self.bands { sum += Double(a[x + band]) * Double(b[y + band]) }
      }
      if sum > best.sum { best = (shift, sum) }
    }
    return -Self.hop * (best.shift > frames / 2 ? best.shift - frames : best.shift)
  }

  /// log(1 + power) of each band, frame by frame.
  private func levels(_ samples: [Float]) -> [Float] {
    let spectrum = transform.spectrum(
      Tensor(samples, shape: [1, samples.count]), padding: .reflection)
    return spectrum.powers().product(bank).values.map { log1p($0) }
  }
}
