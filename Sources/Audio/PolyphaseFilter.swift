import Base

/// A filter between two rates, cut into its phases: immutable, shared.
final class PolyphaseFilter: Sendable {
  let up: Int
  let down: Int
  /// Reach on each side of the middle, at the rate of `up` times the input's.
  let half: Int
  /// Input samples under the filter, rounded up to whole pairs of vectors of 8.
  let width: Int
  /// [phase][width]: coefficients in order of ascending input sample; zeros in front.
  let phases: [Float]

  init(up: Int, down: Int, half: Int, width: Int, phases: [Float]) {
    (self.up, self.down, self.half, self.width) = (up, down, half, width)
    self.phases = phases
  }

  /// Vectors come in pairs, so that two sums run side by side.
  static func rounded(width: Int) -> Int { (width + 15) / 16 * 16 }
}

/// The filters that were made: a few are kept, since every utterance of a stream asks for the same.
final class PolyphaseFilters: Sendable {
  private struct Key: Hashable {
    var up: Int
    var down: Int
  }
  private let known = Locked<[Key: PolyphaseFilter]>([:])
  private let make: @Sendable (Int, Int) throws -> PolyphaseFilter

  init(make: @escaping @Sendable (Int, Int) throws -> PolyphaseFilter) { self.make = make }

  /// The filter between two rates.
  func between(_ from: Int, _ to: Int) throws -> PolyphaseFilter {
    let divisor = greatestCommonDivisor(from, to)
    let key = Key(up: to / divisor, down: from / divisor)
    if let filter = known.withLock({ $0[key] }) { return filter }
    let filter = try make(key.up, key.down)
    known.withLock {
      if $0.count >= 8 { $0.removeAll() }
      $0[key] = filter
    }
    return filter
  }
}

/// The largest number that divides both.
public func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
  var (a, b) = (a, b)
  while b != 0 { (a, b) = (b, a % b) }
  return a
}
