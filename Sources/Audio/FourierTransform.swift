import Glibc

/// The discrete Fourier transform of a power of two of real samples (Cooley and Tukey, radix 2), in
/// double precision.
struct FourierTransform: Sendable {
  /// Samples of a transform.
  let size: Int
  /// e^(-2πi k / size) for the first half of the circle.
  private let cosines: [Double]
  private let sines: [Double]
  private let reversed: [Int]

  /// - Parameter size: a power of two, at least 2.
  init(size: Int) {
    precondition(size >= 2 && size & (size - 1) == 0, "a power of two")
    self.size = size
    let angles = (0..<size / 2).map { -2 * Double.pi * Double($0) / Double(size) }
    cosines = angles.map { cos($0) }
    sines = angles.map { sin($0) }
    let bits = size.trailingZeroBitCount
    reversed = (0..<size).map { index in
      (0..<bits).reduce(0) { $0 << 1 | (index >> $1) & 1 }
    }
  }

  /// Squared magnitudes of the bins from 0 to the Nyquist frequency: size / 2 + 1 of them.
  ///
  /// - Parameter samples: as many as the size.
  func power(_ samples: [Double]) -> [Double] {
    precondition(samples.count == size, "as many samples as the size")
    var real = reversed.map { samples[$0] }
    var imaginary = [Double](repeating: 0, count: size)
    var half = 1
    while half < size {
      let stride = size / (2 * half)
      for start in Swift.stride(from: 0, to: size, by: 2 * half) {
        for offset in 0..<half {
          let (c, s) = (cosines[offset * stride], sines[offset * stride])
          let (a, b) = (start + offset, start + offset + half)
          let (x, y) = (c * real[b] - s * imaginary[b], c * imaginary[b] + s * real[b])
          (real[b], imaginary[b]) = (real[a] - x, imaginary[a] - y)
          (real[a], imaginary[a]) = (real[a] + x, imaginary[a] + y)
        }
      }
      half *= 2
    }
    return (0...size / 2).map { real[$0] * real[$0] + imaginary[$0] * imaginary[$0] }
  }
}
