/// Runs a polyphase filter over samples that arrive in pieces.
///
/// y[j] = Σ_n x[n] · h[j · down - n · up] for j < ceil(samples · up / down), zeros outside. The order of
/// each sum is fixed, so the result is the same to the bit however the input is cut.
struct PolyphaseEngine: Sendable {
  private let filter: PolyphaseFilter
  /// Input samples from number `start` on; begins with zeros in front of sample 0.
  private var buffer: [Float]
  private var start: Int
  /// Input samples seen.
  private var received = 0
  /// Output samples given.
  private var produced = 0

  /// An engine that nothing is asked of.
  static let idle = PolyphaseEngine(
    PolyphaseFilter(up: 1, down: 1, half: 0, width: 0, phases: []))

  init(_ filter: PolyphaseFilter) {
    self.filter = filter
    buffer = [Float](repeating: 0, count: filter.width)
    start = -filter.width
  }

  /// The output samples that these input samples complete.
  mutating func process(_ samples: [Float]) -> [Float] {
    received += samples.count
    guard filter.up != filter.down else {
      produced += samples.count
      return samples
    }
    buffer.append(contentsOf: samples)
    // Output j needs input up to (j · down + half) / up.
    let limit = received * filter.up - filter.half
    let ready = limit > 0 ? (limit - 1) / filter.down + 1 : 0
    return convolve(upTo: ready)
  }

  /// The rest, with zeros after the last input sample.
  mutating func finish() -> [Float] {
    guard filter.up != filter.down else { return [] }
    let total = resampledCount(received, up: filter.up, down: filter.down)
    guard total > produced else { return [] }
    let needed = ((total - 1) * filter.down + filter.half) / filter.up + 1
    buffer.append(contentsOf: repeatElement(0, count: max(0, needed - received)))
    return convolve(upTo: total)
  }

  private mutating func convolve(upTo end: Int) -> [Float] {
    guard end > produced else { return [] }
    let (up, down, half, width) = (filter.up, filter.down, filter.half, filter.width)
    let first = produced
    let origin = start
    let result = [Float](unsafeUninitializedCapacity: end - first) { output, count in
      buffer.withUnsafeBytes { input in
        filter.phases.withUnsafeBytes { phases in
          // Last input sample and phase of output j, advanced without divisions.
          var (last, phase) = (first * down + half).quotientAndRemainder(dividingBy: up)
          let (wholeStep, phaseStep) = down.quotientAndRemainder(dividingBy: up)
          for index in 0..<end - first {
            let x = (last - width + 1 - origin) * 4
            let h = phase * width * 4
            var even = SIMD8<Float>()
            var odd = SIMD8<Float>()
            var offset = 0
            while offset < width * 4 {
              even +=
                input.loadUnaligned(fromByteOffset: x + offset, as: SIMD8<Float>.self)
                * phases.loadUnaligned(fromByteOffset: h + offset, as: SIMD8<Float>.self)
              odd +=
                input.loadUnaligned(fromByteOffset: x + offset + 32, as: SIMD8<Float>.self)
                * phases.loadUnaligned(fromByteOffset: h + offset + 32, as: SIMD8<Float>.self)
              offset += 64
            }
            output.initializeElement(at: index, to: (even + odd).orderedSum)
            last += wholeStep
            phase += phaseStep
            if phase >= up {
              phase -= up
              last += 1
            }
          }
        }
      }
      count = end - first
    }
    produced = end
    // Forget what no later output needs.
    let oldest = (end * down + half) / up - width + 1
    let unused = min(oldest - start, buffer.count)
    if unused > 0 {
      buffer.removeFirst(unused)
      start += unused
    }
    return result
  }
}

extension SIMD8<Float> {
  /// The sum of the elements, halves first: one order for all compilers.
  @inline(__always)
  fileprivate var orderedSum: Float {
    let four = lowHalf + highHalf
    let two = four.lowHalf + four.highHalf
    return two.x + two.y
  }
}
