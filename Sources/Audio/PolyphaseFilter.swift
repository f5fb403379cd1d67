import Base
import Glibc

/// The windowed sinc that the reference resampler runs, cut into its phases: immutable, shared.
///
/// With g the greatest common divisor of the rates, up = to / g, down = from / g, m = max(up, down)
/// and H = 10 m: h[n] = sinc(n / m) / m · Kaiser(2H + 1, β = 5)[n] for n = -H … H, scaled to sum 1 and
/// rounded to float32, times up. These are the defaults of SciPy's `resample_poly`.
final class PolyphaseFilter: Sendable {
  let up: Int
  let down: Int
  /// Taps on each side of the middle, at the rate of `up` times the input's.
  let half: Int
  /// Input samples under the filter, rounded up to whole vectors of 8.
  let width: Int
  /// [phase][width]: coefficients in order of ascending input sample; zeros in front.
  let phases: [Float]

  private init(up: Int, down: Int) {
    self.up = up
    self.down = down
    let longest = max(up, down)
    half = 10 * longest
    let taps = Self.taps(half: half, longest: longest, gain: Float(up))
    let used = (2 * half) / up + 1
    width = (used + 7) / 8 * 8
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
    self.phases = phases
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

  private struct Key: Hashable {
    var up: Int
    var down: Int
  }
  private static let known = Locked<[Key: PolyphaseFilter]>([:])

  /// The filter between two rates: a few are kept, since every utterance of a stream asks for the
  /// same one.
  static func between(_ from: Int, _ to: Int) -> PolyphaseFilter {
    let divisor = greatestCommonDivisor(from, to)
    let key = Key(up: to / divisor, down: from / divisor)
    if let filter = known.withLock({ $0[key] }) { return filter }
    let filter = PolyphaseFilter(up: key.up, down: key.down)
    known.withLock {
      if $0.count >= 8 { $0.removeAll() }
      $0[key] = filter
    }
    return filter
  }
}

func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
  var (a, b) = (a, b)
  while b != 0 { (a, b) = (b, a % b) }
  return a
}

/// The modified Bessel function of the first kind, order 0, by its power series.
private func besselI0(_ x: Double) -> Double {
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
