/// Two sequences of feature vectors, aligned by dynamic time warping (Sakoe and Chiba, 1978).
public enum DynamicTimeWarping {
  /// Pairs of frames that are compared at most: 64 million take some seconds and 64 MB.
  public static let mostPairs = 64 << 20

  /// The mean distance along the path with the least sum of distances. The path leads from both first
  /// frames to both last ones, a frame of either or of both at a step; all steps weigh the same, and of
  /// equally good ones that of both is taken. The distance of two frames is the root mean square of the
  /// differences of their features.
  ///
  /// - Parameters:
  ///   - left: the features, frame by frame.
  ///   - width: features of a frame.
  /// - Returns: nil when one of them has no frame, or when they have more than ``mostPairs`` pairs.
  public static func distance(_ left: [Float], _ right: [Float], width: Int) -> Double? {
    let (rows, columns) = (left.count / width, right.count / width)
    guard rows > 0, columns > 0, rows <= mostPairs / columns else { return nil }
    // Sums of the row above and of this one; steps of all pairs, to count those of the path.
    var above = [Double](repeating: .infinity, count: columns)
    var sums = above
    var steps = [Step](repeating: .both, count: rows * columns)
    left.withUnsafeBufferPointer { left in
      right.withUnsafeBufferPointer { right in
        for row in 0..<rows {
          for column in 0..<columns {
            var best = row == 0 && column == 0 ? 0 : Double.infinity
            if row > 0, column > 0 { best = above[column - 1] }
            var step = Step.both
            if row > 0, above[column] < best { (best, step) = (above[column], .left) }
            if column > 0, sums[column - 1] < best { (best, step) = (sums[column - 1], .right) }
            var squares: Float = 0
            for feature in 0..<width {
              let difference = left[row * width + feature] - right[column * width + feature]
              squares += difference * difference
            }
            sums[column] = best + Double(squares / Float(width)).squareRoot()
            steps[row * columns + column] = step
          }
          swap(&above, &sums)
        }
      }
    }
    var (row, column, length) = (rows - 1, columns - 1, 1)
    while row > 0 || column > 0 {
      let step = steps[row * columns + column]
      if step != .right { row -= 1 }
      if step != .left { column -= 1 }
      length += 1
    }
    return above[columns - 1] / Double(length)
  }

  /// Which of the two goes on to its next frame.
  private enum Step: UInt8 { case both, left, right }
}
