import Fourier
import Glibc

/// Power of a signal in bands of the mel scale (2595 · log10(1 + f / 700)), from 0 Hz to half the rate:
/// triangles of equal width on that scale, each half over its neighbours.
struct MelSpectrum: Sendable {
  private let transform: RealTransform
  private let window: [Float]
  private let hop: Int
  /// For each band its first bin and the weights from there on.
  private let bands: [(first: Int, weights: [Double])]

  /// - Parameters:
  ///   - window: samples of a frame (Hann), filled up with zeros to a power of two.
  ///   - hop: samples from one frame to the next.
  init(rate: Int, bands: Int, window: Int, hop: Int) {
    var size = 2
    while size < window { size *= 2 }
    transform = RealTransform(size: size)
    self.window = (0..<window).map {
      Float(0.5 - 0.5 * cos(2 * .pi * Double($0) / Double(window)))
    }
    self.hop = hop
    let top = Self.mel(Double(rate) / 2)
    let edges = (0...bands + 1).map { Self.frequency(top * Double($0) / Double(bands + 1)) }
    let width = Double(rate) / Double(size)
    self.bands = (0..<bands).map { band in
      let (low, middle, high) = (edges[band], edges[band + 1], edges[band + 2])
      // The lowest bands are narrower than a bin: each has at least the bin nearest to its middle.
      let nearest = Int((middle / width).rounded())
      let first = min(nearest, Int((low / width).rounded(.up)))
      let last = min(size / 2, max(nearest, Int((high / width).rounded(.down))))
      let weights = (first...last).map { bin -> Double in
        let frequency = Double(bin) * width
        let weight =
          frequency <= middle
          ? (frequency - low) / (middle - low) : (high - frequency) / (high - middle)
        return max(0, weight)
      }
      return weights.contains { $0 > 0 } ? (first, weights) : (nearest, [1])
    }
  }

  private static func mel(_ frequency: Double) -> Double { 2595 * log10(1 + frequency / 700) }
  private static func frequency(_ mel: Double) -> Double { 700 * (pow(10, mel / 2595) - 1) }

  /// The powers of each frame, [frame][band]. The first frame is centred on the first sample; there is
  /// one for every hop that begins within the signal.
  func frames(of samples: [Float]) -> [[Double]] {
    stride(from: 0, to: samples.count, by: hop).map { centre in
      var part = [Float](repeating: 0, count: transform.size)
      let start = centre - window.count / 2
      for index in max(0, -start)..<min(window.count, max(0, samples.count - start)) {
        part[index] = samples[start + index] * window[index]
      }
      let (real, imaginary) = transform.forward(part)
      let power = zip(real, imaginary).map { Double($0) * Double($0) + Double($1) * Double($1) }
      return bands.map { first, weights in
        weights.indices.reduce(0) { $0 + weights[$1] * power[first + $1] }
      }
    }
  }
}
