import Glibc

extension SoX {
  private static let combs = [1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617]
  private static let allPasses = [225, 341, 441, 556]

  /// The reverberation of a room that is computed, not recorded (Jezar's Freeverb), of two channels whose
  /// mean is given. What goes on after the last sample is lost.
  ///
  /// - Parameters:
  ///   - reverberance: how long it lasts, in percent.
  ///   - damping: how much faster high frequencies fade, in percent.
  ///   - roomScale: the size of the room, in percent.
  static func reverb(
    _ samples: [Float], reverberance: Double, damping: Double, roomScale: Double
  ) -> [Float] {
    let steepness = -1 / log(1 - 0.3)
    let end = 100 / (1 + steepness * log(1 - 0.98))
    let feedback = 1 - exp((reverberance - end) / (steepness * end))
    let damping = 0.3 * damping / 100 + 0.2
    let scale = 0.9 * roomScale / 100 + 0.1
    let dry = input(samples)

    func channel(spread: Double) -> [Double] {
      var offset = spread
      func length(_ length: Int, _ scale: Double) -> Int {
        defer { offset = -offset }
        return Int(scale * (Double(length) + 12 * offset) + 0.5)
      }
      var wet = [Double](repeating: 0, count: dry.count)
      for comb in combs { addComb(length(comb, scale), feedback, damping, of: dry, to: &wet) }
      for size in allPasses.map({ length($0, 1) }).reversed() { applyAllPass(size, &wet) }
      return zip(dry, wet).map { quantized($0 + 0.015 * $1) }
    }
    return output(zip(channel(spread: 0), channel(spread: 1)).map { ($0 + $1) / 2 })
  }

  private static func addComb(
    _ length: Int, _ feedback: Double, _ damping: Double, of dry: [Double], to wet: inout [Double]
  ) {
    var delayed = [Double](repeating: 0, count: length)
    var (place, store) = (0, 0.0)
    for index in dry.indices {
      let echo = delayed[place]
      store = echo + (store - echo) * damping
      delayed[place] = dry[index] + store * feedback
      wet[index] += echo
      place = place + 1 == length ? 0 : place + 1
    }
  }

  private static func applyAllPass(_ length: Int, _ samples: inout [Double]) {
    var delayed = [Double](repeating: 0, count: length)
    var place = 0
    for index in samples.indices {
      let echo = delayed[place]
      delayed[place] = samples[index] + 0.5 * echo
      samples[index] = echo - samples[index]
      place = place + 1 == length ? 0 : place + 1
    }
  }
}
