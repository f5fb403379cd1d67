import Audio
import Glibc

/// The band-limited interpolation of the Python library resampy with its filter `kaiser_fast` (J. O. Smith:
/// a table of half a windowed sinc, read with linear interpolation), of a whole signal at once. The package
/// applies room responses with it; everything else here has the resamplers of `Audio`.
enum TableResampler {
  private static let crossings = 24
  private static let pointsPerCrossing = 512
  private static let rolloff = 0.8682120388377784
  private static let beta = 9.903224487141577

  private static let table: [Double] = (0...crossings * pointsPerCrossing).map { index in
    let place = Double(index) / Double(pointsPerCrossing)
    let angle = .pi * rolloff * place
    let part = place / Double(crossings)
    let window = besselI0(beta * max(0, 1 - part * part).squareRoot()) / besselI0(beta)
    return rolloff * (index == 0 ? 1 : sin(angle) / angle) * window
  }

  /// - Returns: ceil(samples · to / from) samples, the last one 0 where the division has a rest.
  static func resampled(_ samples: [Double], from: Int, to: Int) -> [Double] {
    let ratio = Double(to) / Double(from)
    let scale = min(1, ratio)
    let step = Int(scale * Double(pointsPerCrossing))
    let count = samples.count * to / from
    var result = (0..<count).map { index -> Double in
      let time = Double(index) * (1 / ratio)
      let whole = Int(time)
      let before = scale * (time - Double(whole))
      // The samples up to this time, the latest first, then those after it.
      let left = wing(before, step: step, samples, at: whole, stride: -1, available: whole + 1)
      let right = wing(
        scale - before, step: step, samples, at: whole + 1, stride: 1,
        available: samples.count - whole - 1)
      return (left + right) * scale
    }
    if samples.count * to % from != 0 { result.append(0) }
    return result
  }

  private static func wing(
    _ distance: Double, step: Int, _ samples: [Double], at first: Int, stride: Int, available: Int
  ) -> Double {
    let place = distance * Double(pointsPerCrossing)
    let offset = Int(place)
    let between = place - Double(offset)
    var sum = 0.0
    for number in 0..<max(0, min(available, (table.count - offset) / step)) {
      let entry = offset + number * step
      let value = table[entry]
      let next = entry + 1 < table.count ? table[entry + 1] : value
      sum += (value + between * (next - value)) * samples[first + stride * number]
    }
    return sum
  }
}
