import Glibc

/// A sinc under Kaiser's window, as the reference resampler has it.
///
/// With g the greatest common divisor of the rates, up = to / g, down = from / g: h[n] = sinc(n / m) / m ·
/// Kaiser(β)(n / H) for |n| < H, at `up` times the input's rate, times up.
enum KaiserFilter {
  /// SciPy's `resample_poly` with its defaults: m = max(up, down), H = 10 m, β = 5, h scaled to sum 1.
  static let scipy = PolyphaseFilters { up, down in
    let longest = max(up, down)
    let half = 10 * longest
    var side = side(half: half, beta: 5, zeros: Double(longest), reach: Double(half))
    let sum = side[0] + 2 * side[1...].reduce(0, +)
    for index in side.indices { side[index] /= sum }
    return filter(up, down, side: side.map { Float($0) * Float(up) })
  }

  /// torchaudio's `resample` as Resemble-Enhance calls it (resampy's "kaiser_best"): m = max(up, down) /
  /// 0.9476, H = 64 m, β = 14.77. torchaudio computes the taps in float32, which moves its results by some 5e-6.
  static let torchaudio = PolyphaseFilters { up, down in
    let zeros = Double(max(up, down)) / 0.9475937167399596
    let reach = 64 * zeros
    let side = side(
      half: Int(reach), beta: 14.769656459379492, zeros: zeros, reach: reach)
    return filter(up, down, side: side.map { Float($0 / zeros * Double(up)) })
  }

  /// The positive half of the taps: both are equal.
  ///
  /// - Parameters:
  ///   - zeros: from one zero of the sinc to the next.
  ///   - reach: where the window ends.
  private static func side(half: Int, beta: Double, zeros: Double, reach: Double) -> [Double] {
    let scale = besselI0(beta)
    return (0...half).map { index -> Double in
      let x = Double(index) / zeros
      let sinc = index == 0 ? 1 : sin(.pi * x) / (.pi * x)
      let place = Double(index) / reach
      return sinc * besselI0(beta * max(0, 1 - place * place).squareRoot()) / scale
    }
  }

  private static func filter(_ up: Int, _ down: Int, side: [Float]) -> PolyphaseFilter {
    let half = side.count - 1
    let width = PolyphaseFilter.rounded(width: (2 * half) / up + 1)
    var phases = [Float](repeating: 0, count: up * width)
    for phase in 0..<up {
      var index = phase
      var place = (phase + 1) * width - 1
      while index <= 2 * half {
        phases[place] = side[abs(index - half)]
        index += up
        place -= 1
      }
    }
    return PolyphaseFilter(up: up, down: down, half: half, width: width, phases: phases)
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
