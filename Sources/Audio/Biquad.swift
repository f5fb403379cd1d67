import Glibc

/// A second-order filter section in double precision, transposed direct form II.
struct Biquad: Sendable {
  var b0: Double
  var b1: Double
  var b2: Double
  var a1: Double
  var a2: Double
  private var z1 = 0.0
  private var z2 = 0.0

  init(b0: Double, b1: Double, b2: Double, a1: Double, a2: Double) {
    (self.b0, self.b1, self.b2, self.a1, self.a2) = (b0, b1, b2, a1, a2)
  }

  /// A Butterworth high-pass filter.
  static func highPass(_ frequency: Double, rate: Double) -> Biquad {
    let k = tan(.pi * frequency / rate)
    let q = 0.5.squareRoot()
    let scale = 1 / (1 + k / q + k * k)
    return Biquad(
      b0: scale, b1: -2 * scale, b2: scale, a1: 2 * (k * k - 1) * scale,
      a2: (1 - k / q + k * k) * scale)
  }

  @inline(__always)
  mutating func step(_ x: Double) -> Double {
    let y = b0 * x + z1
    z1 = b1 * x - a1 * y + z2
    z2 = b2 * x - a2 * y
    return y
  }
}
