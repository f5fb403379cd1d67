import Audio
import Glibc

/// Effects as the program SoX 14.4.2 computes them at 44,100 Hz: in double precision, between signals of
/// 32-bit integers, so that what is louder than full scale is clipped. As many samples come out as went in.
enum SoX {
  static let rate = 44_100.0
  private static let step = 0x1p-31

  /// What an effect is given, or gives, as integers over 2^31.
  static func quantized(_ sample: Double) -> Double {
    max(-1, min(1 - step, (sample * 0x1p31).rounded() * step))
  }

  static func input(_ samples: [Float]) -> [Double] { samples.map { quantized(Double($0)) } }
  static func output(_ samples: [Double]) -> [Float] { samples.map { Float(quantized($0)) } }

  /// Distorts as an amplifier that is given too much.
  ///
  /// - Parameters:
  ///   - gain: in dB.
  ///   - colour: 0 to 100; how many even harmonics there are.
  static func overdrive(_ samples: [Float], gain: Double, colour: Double) -> [Float] {
    let factor = pow(10, gain / 20)
    var (last, smooth) = (0.0, 0.0)
    return output(
      input(samples).map { sample in
        var driven = sample * factor + colour / 200
        driven =
          driven < -1 ? -2.0 / 3 : driven > 1 ? 2.0 / 3 : driven - driven * driven * driven / 3
        smooth = driven - last + 0.995 * smooth
        last = driven
        return 0.5 * sample + 0.75 * smooth
      })
  }

  /// Raises or lowers the band around a frequency (R. Bristow-Johnson's peaking filter).
  ///
  /// - Parameters:
  ///   - frequency: in hertz.
  ///   - quality: the frequency over the width of the band.
  ///   - gain: in dB.
  static func equalizer(_ samples: [Float], frequency: Double, quality: Double, gain: Double)
    -> [Float]
  {
    let angle = 2 * Double.pi * frequency / rate
    let root = pow(10, gain / 40)
    let alpha = sin(angle) / (2 * quality)
    let a0 = 1 + alpha / root
    let (b0, b2) = ((1 + alpha * root) / a0, (1 - alpha * root) / a0)
    let middle = -2 * cos(angle) / a0
    let a2 = (1 - alpha / root) / a0
    var (x1, x2, y1, y2) = (0.0, 0.0, 0.0, 0.0)
    return output(
      input(samples).map { x in
        let y = b0 * x + middle * x1 + b2 * x2 - middle * y1 - a2 * y2
        (x2, x1) = (x1, x)
        (y2, y1) = (y1, y)
        return y
      })
  }

  /// Removes what lies above a frequency in hertz.
  ///
  /// - Parameter taps: length of the filter; made odd.
  static func lowPass(_ samples: [Float], taps: Int, cutoff: Double) -> [Float] {
    let edge = cutoff / (rate / 2)
    let filter = lowPassTaps(taps | 1, edge: edge, beta: kaiserBeta(edge: edge))
    return output(centred(input(samples), filter))
  }

  /// Removes what lies outside of a band in hertz. The polarity is reversed, as it is in SoX.
  static func bandPass(_ samples: [Float], taps: Int, from: Double, to: Double) -> [Float] {
    let (low, high) = (from / (rate / 2), to / (rate / 2))
    let beta = kaiserBeta(edge: low)
    let filter = zip(
      lowPassTaps(taps | 1, edge: low, beta: beta), lowPassTaps(taps | 1, edge: high, beta: beta)
    ).map { $0 - $1 }
    return output(centred(input(samples), filter))
  }

  private static func centred(_ samples: [Double], _ taps: [Double]) -> [Double] {
    convolution(samples, taps, from: (taps.count - 1) / 2, count: samples.count)
  }

  /// - Parameter edge: as a part of half the sample rate.
  private static func lowPassTaps(_ count: Int, edge: Double, beta: Double) -> [Double] {
    let middle = Double(count - 1) / 2
    return (0..<count).map { index in
      let z = Double(index) - middle
      let place = z / middle
      let window = besselI0(beta * max(0, 1 - place * place).squareRoot()) / besselI0(beta)
      return (z == 0 ? edge : sin(.pi * edge * z) / (.pi * z)) * window
    }
  }

  /// Polynomials of the attenuation in dB: the beta of a Kaiser window, for transitions of
  /// 0.0005 · 2^row of the edge.
  private static let betas: [[Double]] = [
    [-6.784957e-10, 1.02856e-05, 0.1087556, -0.8978365],
    [-6.897885e-10, 1.027433e-05, 0.10876, -0.8974658],
    [-1.000683e-09, 1.030092e-05, 0.1087677, -0.8977898],
    [-3.654474e-10, 1.040631e-05, 0.1087085, -0.8917766],
    [8.106988e-09, 6.983091e-06, 0.1091387, -0.9022048],
    [9.519571e-09, 7.272678e-06, 0.1090068, -0.8890768],
    [-5.626821e-09, 1.342186e-05, 0.1083999, -0.8565452],
    [-9.965946e-08, 5.073548e-05, 0.1040967, -0.6822778],
    [1.604808e-07, -5.856462e-05, 0.1185998, -1.24824],
    [-1.511964e-07, 6.363034e-05, 0.1064627, -0.8076665],
  ]

  private static func kaiserBeta(edge: Double) -> Double {
    let attenuation = 120.0
    let place = log2(0.0125 / edge / 0.0005)
    func beta(_ row: Double) -> Double {
      betas[Int(max(0, min(9, row)))].reduce(0) { $0 * attenuation + $1 }
    }
    let row = place.rounded(.down)
    let (below, above) = (beta(row), beta(row + 1))
    return below + (above - below) * (place - place.rounded(.towardZero))
  }
}
