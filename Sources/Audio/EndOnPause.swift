import Glibc

/// A voice prompt that ends on a pause: the official treatment of recordings before they are encoded
/// (24 kHz).
///
/// Frames of 480 samples; all after the last frame within 35 dB of the loudest one goes, what is left
/// fades out over its last frame, and 1920 zeros (one latent frame) follow. Less than a frame is
/// returned as it is. Silence counts as loud throughout.
public func endOnPause(_ samples: [Float]) -> [Float] {
  let frame = 480
  let range = 35.0
  let pause = 1920
  let count = samples.count / frame
  guard count > 0 else { return samples }
  let levels = (0..<count).map { index in
    let energy = samples[index * frame..<(index + 1) * frame].reduce(0.0) {
      $0 + Double($1) * Double($1)
    }
    return 20 * log10((energy / Double(frame)).squareRoot() + 1e-12)
  }
  let loudest = levels.max() ?? 0
  let last = levels.lastIndex { $0 > loudest - range } ?? count - 1
  let end = (last + 1) * frame
  var result = Array(samples[..<end])
  let step = Float(-1) / Float(frame - 1)
  for index in 0..<frame {
    // From both ends towards the middle, as the reference's linspace is rounded.
    let gain =
      index < frame / 2 ? 1 + step * Float(index) : 0 - step * Float(frame - 1 - index)
    result[end - frame + index] *= gain
  }
  result.append(contentsOf: repeatElement(0, count: pause))
  return result
}
