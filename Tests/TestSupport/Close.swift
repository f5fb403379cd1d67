public import Testing

/// How far two lists of numbers are apart.
public struct Difference: Sendable, CustomStringConvertible {
  /// The place of the worst element.
  public var index: Int
  /// The values there.
  public var actual: Float
  /// The values there.
  public var expected: Float
  /// Their distance over the scale of what is expected (its largest magnitude).
  public var relative: Double
  /// The largest magnitude of what is expected.
  public var scale: Double

  /// The worst element in words.
  public var description: String {
    "worst at \(index): \(actual), expected \(expected) (\(relative) of the scale \(scale))"
  }
}

/// The worst difference between two lists of the same length, relative to the scale of `expected`.
public func difference(_ actual: [Float], _ expected: [Float]) -> Difference {
  var scale = Double(expected.reduce(0) { max($0, abs($1)) })
  if scale == 0 { scale = 1 }
  var worst = Difference(index: 0, actual: 0, expected: 0, relative: -1, scale: scale)
  for (index, (a, e)) in zip(actual, expected).enumerated() {
    let apart = a == e ? 0 : abs(Double(a) - Double(e)) / scale
    // A NaN is worse than any number.
    if apart.isNaN {
      return Difference(index: index, actual: a, expected: e, relative: .infinity, scale: scale)
    }
    if apart > worst.relative {
      worst = Difference(index: index, actual: a, expected: e, relative: apart, scale: scale)
    }
  }
  return worst
}

/// Records an issue unless two lists agree: lengths equal, and no element further apart than
/// `tolerance` times the largest magnitude of `expected`.
public func assertClose(
  _ actual: [Float], _ expected: [Float], tolerance: Double, _ name: String = "values",
  sourceLocation: SourceLocation = #_sourceLocation
) {
  guard actual.count == expected.count else {
    Issue.record(
      "\(name): \(actual.count) values, expected \(expected.count)", sourceLocation: sourceLocation)
    return
  }
  guard !expected.isEmpty else { return }
  let worst = difference(actual, expected)
  if !(worst.relative <= tolerance) {
    Issue.record("\(name): \(worst); tolerance \(tolerance)", sourceLocation: sourceLocation)
  }
}

/// The correlation of two signals of the same length.
public func correlation(_ left: [Float], _ right: [Float]) -> Double {
  guard left.count == right.count, !left.isEmpty else { return .nan }
  let count = Double(left.count)
  let meanLeft = left.reduce(0.0) { $0 + Double($1) } / count
  let meanRight = right.reduce(0.0) { $0 + Double($1) } / count
  var (product, squareLeft, squareRight) = (0.0, 0.0, 0.0)
  for (a, b) in zip(left, right) {
    let (x, y) = (Double(a) - meanLeft, Double(b) - meanRight)
    product += x * y
    squareLeft += x * x
    squareRight += y * y
  }
  return product / (squareLeft * squareRight).squareRoot()
}
