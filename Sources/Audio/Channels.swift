/// The mean of the channels: what "mono" means everywhere here.
///
/// - Parameter channels: [channel][sample], all of one length.
public func mono(_ channels: [[Float]]) -> [Float] {
  guard channels.count > 1 else { return channels.first ?? [] }
  var sum = channels[0]
  sum.withUnsafeMutableBufferPointer { sum in
    for samples in channels.dropFirst() {
      samples.withUnsafeBufferPointer { samples in
        for index in 0..<min(sum.count, samples.count) { sum[index] += samples[index] }
      }
    }
    let count = Float(channels.count)
    for index in sum.indices { sum[index] /= count }
  }
  return sum
}
