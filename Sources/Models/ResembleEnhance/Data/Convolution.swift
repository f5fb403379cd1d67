import Base
import Fourier

/// A part of the full convolution of two signals, which has one sample less than both together.
///
/// Long responses are applied by Fourier transforms in float32, short ones as sums in double precision.
///
/// - Parameters:
///   - start: the first sample that is wanted, counted in the full convolution.
///   - count: how many.
func convolution(_ samples: [Double], _ taps: [Double], from start: Int, count: Int) -> [Double] {
  // Output i is made of the input from i on: zeros are put around it.
  var padded = [Double](repeating: 0, count: count + taps.count - 1)
  let first = start - taps.count + 1
  for index in max(0, first)..<max(0, first, min(samples.count, first + padded.count)) {
    padded[index - first] = samples[index]
  }
  return taps.count <= longestSum
    ? sums(padded, taps, count: count) : overlapSave(padded, taps, count: count)
}

/// Responses up to this length are faster as sums.
private let longestSum = 256

private func sums(_ padded: [Double], _ taps: [Double], count: Int) -> [Double] {
  let reversed = Array(taps.reversed())
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

/// Block by block; of a circular convolution all but the first `taps.count - 1` samples are whole.
private func overlapSave(_ padded: [Double], _ taps: [Double], count: Int) -> [Double] {
  let size = min(powerOfTwo(4 * taps.count), powerOfTwo(padded.count))
  let fresh = size - taps.count + 1
  let transform = transforms.withLock { known in
    let transform = known[size] ?? RealTransform(size: size)
    known[size] = transform
    return transform
  }
  func block(_ samples: ArraySlice<Double>) -> [Float] {
    samples.map { Float($0) } + [Float](repeating: 0, count: size - samples.count)
  }
  let response = transform.forward(block(taps[...]))
  var result: [Double] = []
  result.reserveCapacity(count)
  var output = [Float](repeating: 0, count: size)
  transform.withPlan { plan in
    var real = [Float](repeating: 0, count: transform.bins)
    var imaginary = real
    while result.count < count {
      let place = result.count
      plan.forward(
        block(padded[place..<min(padded.count, place + size)]), real: &real,
        imaginary: &imaginary)
      for bin in real.indices {
        let (a, b) = (real[bin], imaginary[bin])
        let (c, d) = (response.real[bin], response.imaginary[bin])
        (real[bin], imaginary[bin]) = (a * c - b * d, a * d + b * c)
      }
      plan.inverse(real: real, imaginary: imaginary, samples: &output)
      let whole = output[(taps.count - 1)...].prefix(min(fresh, count - place))
      result += whole.lazy.map { Double($0) / Double(size) }
    }
  }
  return result
}

/// By size: few, since all are powers of two.
private let transforms = Locked<[Int: RealTransform]>([:])

/// The least power of two that is not below a number.
private func powerOfTwo(_ number: Int) -> Int {
  1 << (Int.bitWidth - max(1, number - 1).leadingZeroBitCount)
}
