/// Which source each of an endless sequence of samples comes from: computed from its place, so that
/// nothing need be kept to continue.
///
/// A tree over the sources splits the samples in two again and again: of the first n that come to a
/// branch, its left side gets n · share, rounded. Each source thus gets its samples evenly spread. Of the
/// first n samples it has its share to within half a sample for each level of the tree, which is one
/// for four sources, and exactly its share whenever the sum of the weights divides n.
struct SourceMix: Sendable {
  /// Whole numbers without a common divisor.
  let weights: [Int]
  /// The sum of the weights before each source, and of all.
  private let sums: [Int]

  /// - Parameter weights: above 0, their sum below 2^62.
  init(weights: [Int]) {
    let divisor = max(1, weights.reduce(0, greatestCommonDivisor))
    self.weights = weights.map { $0 / divisor }
    sums = self.weights.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
  }

  /// The share of a source.
  func share(of source: Int) -> Double { Double(weights[source]) / Double(sums[weights.count]) }

  /// The source of the sample at a position, and how many of its samples came before.
  subscript(position: Int) -> (source: Int, ordinal: Int) {
    var ordinal = position
    var (low, high) = (0, weights.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      func left(of count: Int) -> Int {
        Self.rounded(count, times: sums[middle] - sums[low], over: sums[high] - sums[low])
      }
      let before = left(of: ordinal)
      if left(of: ordinal + 1) > before {
        high = middle
        ordinal = before
      } else {
        low = middle
        ordinal -= before
      }
    }
    return (low, ordinal)
  }

  /// count · part / whole, to the nearest whole number, exactly.
  private static func rounded(_ count: Int, times part: Int, over whole: Int) -> Int {
    Int((UInt128(count) * UInt128(part) + UInt128(whole / 2)) / UInt128(whole))
  }
}

private func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
  b == 0 ? a : greatestCommonDivisor(b, a % b)
}
