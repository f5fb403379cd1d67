import Glibc

/// The scale-invariant ratio of signal to distortion in dB (Le Roux et al., 2019): how much of an estimate is
/// the target at some scale, against what is not.
func scaleInvariantSDR(_ estimate: [Float], _ target: [Float]) -> Double {
  let count = min(estimate.count, target.count)
  guard count > 0 else { return 0 }
  let means = (mean(estimate.prefix(count)), mean(target.prefix(count)))
  var (product, energy, all) = (0.0, 0.0, 0.0)
  for index in 0..<count {
    let (e, t) = (Double(estimate[index]) - means.0, Double(target[index]) - means.1)
    product += e * t
    energy += t * t
    all += e * e
  }
  guard energy > 0 else { return 0 }
  let signal = product * product / energy
  return 10 * log10((signal + 1e-12) / (max(0, all - signal) + 1e-12))
}

private func mean(_ values: ArraySlice<Float>) -> Double {
  values.reduce(0) { $0 + Double($1) } / Double(values.count)
}
