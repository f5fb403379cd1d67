/// What keeps a division by silence finite, as the package has it.
private let tiny: Float = 1e-7

/// Scaled to a peak of 1; silence stays silence.
func peakNormalized(_ samples: [Float]) -> [Float] {
  let peak = samples.reduce(0) { max($0, abs($1)) } + tiny
  return samples.map { $0 / peak }
}

/// Speech and noise of one length, first scaled to the same energy, then added and scaled to a peak of 1.
///
/// - Parameter alpha: how much of it is speech, 0 to 1: 20 log10(alpha / (1 - alpha)) dB.
func mixture(_ foreground: [Float], _ background: [Float], alpha: Float) -> [Float] {
  func ofUnitEnergy(_ samples: [Float]) -> [Float] {
    let samples = peakNormalized(samples)
    let energy = samples.reduce(0.0) { $0 + Double($1) * Double($1) }
    let root = Float((energy + Double(tiny)).squareRoot())
    return samples.map { $0 / root }
  }
  return peakNormalized(
    zip(ofUnitEnergy(foreground), ofUnitEnergy(background)).map { alpha * $0 + (1 - alpha) * $1 })
}

/// A signal with white noise.
///
/// - Parameters:
///   - noise: standard normal numbers, as many as there are samples; they are scaled to the signal's energy.
///   - alpha: how much of it is the signal, 0 to 1.
func withNoise(_ samples: [Float], noise: [Float], alpha: Double) -> [Float] {
  func energy(_ samples: [Float]) -> Double {
    samples.reduce(0) { $0 + Double($1) * Double($1) }
  }
  let ofNoise = energy(noise)
  let scale = ofNoise > 0 ? (energy(samples) / ofNoise).squareRoot() * (1 - alpha) : 0
  return zip(samples, noise).map { Float(Double($0) * alpha + Double($1) * scale) }
}
