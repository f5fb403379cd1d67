/// 16-bit samples as the official package writes them: clamp(x, -1, 1) · 32767, toward zero.
public func int16TowardZero(_ samples: [Float]) -> [Int16] {
  samples.map { Int16(max(-1, min(1, $0)) * 32767) }
}

/// 16-bit samples at the scale that 16-bit files are read with: x · 32768 to the nearest, halves to
/// even, clamped, so that what came from 16 bits comes back unchanged. Not a number gives 0.
public func int16Nearest(_ samples: [Float]) -> [Int16] {
  samples.map { sample in
    let scaled = (sample * 32768).rounded(.toNearestOrEven)
    return scaled.isNaN ? 0 : Int16(max(-32768, min(32767, scaled)))
  }
}
