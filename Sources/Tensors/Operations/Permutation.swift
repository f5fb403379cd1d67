import Base

/// Dimensions in another order.
struct Permutation: LinearOperation {
  /// For each dimension of the output the one of the input.
  let axes: [Int]

  func value(_ inputs: [Tensor]) -> Tensor {
    let x = inputs[0]
    precondition(axes.sorted() == Array(x.shape.indices), "\(axes) are not the axes of \(x.shape)")
    let shape = axes.map { x.shape[$0] }
    let from = axes.map { Self.strides(x.shape)[$0] }
    let to = Self.strides(shape)
    guard x.count > 0, let last = axes.indices.last else { return x.reshaped(shape) }
    // The dimension that lies side by side in the input, and the one that does in the output, are walked
    // together: a few cache lines of each at a time.
    let near = axes.firstIndex(of: last) ?? last
    let outside = axes.indices.filter { $0 != near && $0 != last }
    let places = outside.reduce(1) { $0 * shape[$1] }
    let block = near == last ? shape[last] : min(16, shape[near])
    let blocks = (shape[near] + block - 1) / block
    return Tensor(shape: shape) { target in
      let target = SharedPointer(target)
      let size = block * (near == last ? 1 : shape[last])
      parallelRows(places * blocks, columns: size) { range in
        for task in range {
          var (rest, index) = task.quotientAndRemainder(dividingBy: blocks)
          let columns = index * block..<min(shape[near], (index + 1) * block)
          var source = x.pointer
          var sink = target.base
          for axis in outside.reversed() {
            (rest, index) = rest.quotientAndRemainder(dividingBy: shape[axis])
            source += index * from[axis]
            sink += index * to[axis]
          }
          if near == last {
            (sink + columns.lowerBound).update(
              from: source + columns.lowerBound, count: columns.count)
            continue
          }
          for row in 0..<shape[last] {
            for column in columns {
              sink[column * to[near] + row] = source[row * from[last] + column]
            }
          }
        }
      }
    }
  }

  private static func strides(_ shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in shape.indices.dropLast().reversed() {
      strides[axis] = strides[axis + 1] * shape[axis + 1]
    }
    return strides
  }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    var back = axes
    for (place, axis) in axes.enumerated() { back[axis] = place }
    return [gradient.permuted(back)]
  }

  func pushforward(_ inputs: [Tensor], _ output: Tensor, _ tangents: [Tensor?]) -> Tensor {
    guard let tangent = tangents[0] else { preconditionFailure("a pushforward has a tangent") }
    return tangent.permuted(axes)
  }
}

extension Tensor {
  /// The dimensions in another order.
  ///
  /// - Parameter axes: for each dimension of the result the one of this.
  public func permuted(_ axes: [Int]) -> Tensor { apply(Permutation(axes: axes), [self]) }

  /// A matrix with rows and columns exchanged.
  public func transposed() -> Tensor { permuted([1, 0]) }
}
