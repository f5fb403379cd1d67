import Glibc

/// The windowed sinc of the reference resampler.
///
/// With g the greatest common divisor of the rates, up = to / g, down = from / g, m = max(up, down)
/// and H = 10 m: h[n] = sinc(n / m) / m · Kaiser(2H + 1, β = 5)[n] for n = -H … H, scaled to sum 1 and
/// rounded to float32, times up. These are the defaults of SciPy's `resample_poly`.
enum KaiserFilter {
  static let filters = PolyphaseFilters { up, down in
    let longest = max(up, down)
    let half = 10 * longest
    let taps = taps(half: half, longest: longest, gain: Float(up))
    let width = PolyphaseFilter.rounded(width: (2 * half) / up + 1)
    var phases = [Float](repeating: 0, count: up * width)
    for phase in 0..<up {
      var index = phase
      var place = (phase + 1) * width - 1
      while index < taps.count {
        phases[place] = taps[index]
        index += up
        place -= 1
      }
    }
    return PolyphaseFilter(up: up, down: down, half: half, width: width, phases: phases)
  }

  private static func taps(half: Int, longest: Int, gain: Float) -> [Float] {
    let beta = 5.0
    let scale = besselI0(beta)
    // Both halves are equal; the sum runs over the positive side once.
    var side = (0...half).map { index -> Double in
      let x = Double(index) / Double(longest)
      let sinc = index == 0 ? 1 : sin(.pi * x) / (.pi * x)
      let place = Double(index) / Double(half)
      let window = besselI0(beta * max(0, 1 - place * place).squareRoot()) / scale
      return sinc * window
    }
    let sum = side[0] + 2 * side[1...].reduce(0, +)
    for index in side.indices { side[index] /= sum }
    return (0...2 * half).map { Float(side[abs($0 - half)]) * gain }
  }
}

/// The modified Bessel function of the first kind, order 0, by its power series.
public func besselI0(_ x: Double) -> Double {
  let square = x * x / 4
  var term = 1.0
  var sum = 1.0
  var order = 1.0
  while term > sum * 1e-17 {
    term *= square / (order * order)
    sum += term
    order += 1
  }
  return sum
}
