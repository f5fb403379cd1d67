import Base
import Processes
public import Tensors

/// Gradients of a step, summed over its micro-batches.
public struct GradientSum: Sendable {
  /// One sum for each parameter; nil where no loss depended on it.
  public private(set) var values: [Tensor?]

  /// An empty sum.
  public init(count: Int) { values = Array(repeating: nil, count: count) }

  /// Adds the gradients of a micro-batch, or of several.
  public mutating func add(_ gradients: [Tensor?]) {
    for (index, gradient) in gradients.enumerated() {
      if let gradient { values[index].accumulate(gradient) }
    }
  }

  /// Sums gradients over a tree that their number alone decides: the first half, rounded up, then the
  /// second. Where a number of processes divides the micro-batches and is a power of two, the share of
  /// each is a branch of the tree, and the sum is the same however many there are.
  ///
  /// - Parameters:
  ///   - microBatches: at least one.
  ///   - gradients: computes those of one; called in order.
  public static func overTree(
    _ microBatches: Range<Int>, _ gradients: (Int) throws -> [Tensor?]
  ) rethrows -> GradientSum {
    if microBatches.count == 1 {
      var sum = GradientSum(count: 0)
      sum.values = try gradients(microBatches.lowerBound)
      return sum
    }
    let middle = microBatches.lowerBound + (microBatches.count + 1) / 2
    var sum = try overTree(microBatches.lowerBound..<middle, gradients)
    sum.add(try overTree(middle..<microBatches.upperBound, gradients).values)
    return sum
  }

  /// Values that go through the wire together.
  private static let chunk = 1 << 20

  /// Sums the branches of all processes, in the order of ranks: each has the whole sum then.
  ///
  /// - Parameter parameters: what these are the gradients of.
  mutating func combine(over group: ProcessGroup, of parameters: ParameterSet) throws {
    guard group.size > 1 else { return }
    let present = try group.gather(values.map { $0 == nil ? 0 : 1 })
    for index in values.indices
    where values[index] == nil && present.contains(where: { $0[index] == 1 }) {
      // Negative zero leaves every other summand as it is, zeros included.
      values[index] = Tensor(repeating: -0.0, shape: parameters.values[index].shape)
    }
    let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: Self.chunk)
    defer { buffer.deallocate() }
    var pieces: [(index: Int, range: Range<Int>)] = []
    var filled = 0
    func flush() throws {
      try group.sum(UnsafeMutableBufferPointer(rebasing: buffer[..<filled]))
      var start = 0
      for (index, range) in pieces {
        values[index]?.mutate { values in
          _ = values[range].update(fromContentsOf: buffer[start..<start + range.count])
        }
        start += range.count
      }
      pieces.removeAll()
      filled = 0
    }
    for index in values.indices {
      guard let count = values[index]?.count else { continue }
      var start = 0
      while start < count {
        let range = start..<min(count, start + Self.chunk - filled)
        values[index]?.withValues { values in
          _ = buffer[filled...].update(fromContentsOf: values[range])
        }
        pieces.append((index, range))
        filled += range.count
        start = range.upperBound
        if filled == Self.chunk { try flush() }
      }
    }
    if filled > 0 { try flush() }
  }

  /// The norm of all gradients together.
  ///
  /// - Parameter places: of those that count; nil: all.
  /// - Throws: `badInput` when it is not finite, naming a parameter.
  public func norm(names: [String], at places: [Int]? = nil, step: Int) throws -> Double {
    var sum = 0.0
    for place in places ?? Array(values.indices) {
      guard let square = values[place]?.squaredNorm else { continue }
      guard square.isFinite else { throw Failure.nonFiniteGradient(names[place], step: step) }
      sum += square
    }
    return sum.squareRoot()
  }
}
