/// A part of the full convolution of two signals, which has one sample less than both together.
///
/// - Parameters:
///   - start: the first sample that is wanted, counted in the full convolution.
///   - count: how many.
func convolution(_ samples: [Double], _ taps: [Double], from start: Int, count: Int) -> [Double] {
  // Zeros on both sides, so that each output is one whole product.
  let reversed = Array(taps.reversed())
  var padded = [Double](repeating: 0, count: count + taps.count - 1)
  let first = start - taps.count + 1
  for index in max(0, first)..<max(0, first, min(samples.count, first + padded.count)) {
    padded[index - first] = samples[index]
  }
  return padded.withUnsafeBufferPointer { padded in
    reversed.withUnsafeBufferPointer { taps in
      (0..<count).map { index in
        var sum = 0.0
        for tap in 0..<taps.count { sum += padded[index + tap] * taps[tap] }
        return sum
      }
    }
  }
}
