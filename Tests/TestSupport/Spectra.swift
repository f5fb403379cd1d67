import Foundation

/// The log-spectral distance of two signals in dB: the root mean square difference of their log
/// power spectra (Hann windows of 512 samples, half overlapping), averaged over windows; power is
/// floored 80 dB below the loudest of the expected one.
public func logSpectralDistance(_ actual: [Float], _ expected: [Float]) -> Double {
  let size = 512
  let table = (0..<size).map { index -> (Double, Double) in
    let angle = 2 * Double.pi * Double(index) / Double(size)
    return (cos(angle), sin(angle))
  }
  let window = table.map { 0.5 - 0.5 * $0.0 }
  func power(_ signal: [Float], _ start: Int) -> [Double] {
    let part = (0..<size).map { Double(signal[start + $0]) * window[$0] }
    return (0...size / 2).map { bin in
      var (real, imaginary, place) = (0.0, 0.0, 0)
      for sample in part {
        real += sample * table[place].0
        imaginary -= sample * table[place].1
        place += bin
        if place >= size { place -= size }
      }
      return real * real + imaginary * imaginary
    }
  }
  let starts = stride(from: 0, through: min(actual.count, expected.count) - size, by: size / 2)
  let spectra = starts.map { (power(actual, $0), power(expected, $0)) }
  let floor = 1e-8 * (spectra.lazy.flatMap(\.1).max() ?? 1)
  let distances = spectra.map { actual, expected in
    let squares = zip(actual, expected).map { a, e in
      let difference = 10 * log10(max(a, floor) / max(e, floor))
      return difference * difference
    }
    return (squares.reduce(0, +) / Double(squares.count)).squareRoot()
  }
  return distances.reduce(0, +) / Double(max(1, distances.count))
}
