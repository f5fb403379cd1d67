/// Cuts a recording that arrives in pieces of any size into parts of one size, holding the last one
/// back: only what follows tells whether it is the last.
public struct PartCutter: Sendable {
  private let limit: Int
  private var pending: [[Float]]

  /// A cutter.
  ///
  /// - Parameter limit: samples of each channel in a part.
  public init(limit: Int, channels: Int) {
    self.limit = limit
    pending = [[Float]](repeating: [], count: channels)
  }

  /// Adds samples, [channel][sample], and takes the parts that are certainly not the last.
  public mutating func add(_ channels: [[Float]]) -> [[[Float]]] {
    for (index, samples) in channels.enumerated() { pending[index] += samples }
    var parts: [[[Float]]] = []
    while let count = pending.first?.count, count > limit {
      parts.append(pending.map { Array($0[..<limit]) })
      for index in pending.indices { pending[index].removeFirst(limit) }
    }
    return parts
  }

  /// The last part; empty only when nothing was added.
  public mutating func finish() -> [[Float]] {
    defer { pending = pending.map { _ in [] } }
    return pending
  }
}
