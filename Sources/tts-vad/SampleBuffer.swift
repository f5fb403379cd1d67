/// The samples of a recording that are not decided yet, by their number in the recording.
struct SampleBuffer {
  private var channels: [[Float]]
  /// Number of the first sample held.
  private(set) var start = 0

  init(channels: Int) { self.channels = [[Float]](repeating: [], count: channels) }

  /// The number after the last sample held.
  var end: Int { start + (channels.first?.count ?? 0) }

  mutating func append(_ samples: [[Float]]) {
    for (index, channel) in samples.enumerated() { channels[index] += channel }
  }

  /// Forgets what lies before a sample.
  mutating func drop(before sample: Int) {
    let count = min(sample, end) - start
    guard count > 0 else { return }
    for index in channels.indices { channels[index].removeFirst(count) }
    start += count
  }

  /// A copy of some samples, which must be held.
  func samples(_ range: Range<Int>) -> [[Float]] {
    channels.map { Array($0[range.lowerBound - start..<range.upperBound - start]) }
  }
}
