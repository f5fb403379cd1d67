import CKernels

/// The sum along the last dimension: [..., n] to [..., 1].
struct RowSums: LinearOperation {
  func value(_ inputs: [Tensor]) -> Tensor {
    let x = inputs[0]
    return Tensor(shape: x.shape.dropLast() + [1]) { target in
      let target = SharedPointer(target)
      parallelRows(x.rows, columns: x.columns) { range in
        ck_row_sums(
          x.pointer + range.lowerBound * x.columns, target + range.lowerBound, range.count,
          x.columns)
      }
    }
  }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    [Tensor.zeros(inputs[0].shape) + gradient]
  }

  func pushforward(_ inputs: [Tensor], _ output: Tensor, _ tangents: [Tensor?]) -> Tensor {
    guard let tangent = tangents[0] else { preconditionFailure("a pushforward has a tangent") }
    return tangent.rowSums()
  }
}

/// The sum of all elements, in double precision: [1].
struct Sum: LinearOperation {
  func value(_ inputs: [Tensor]) -> Tensor {
    Tensor([Float(ck_sum(inputs[0].pointer, inputs[0].count))])
  }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    [Tensor(repeating: gradient.scalar, shape: inputs[0].shape)]
  }

  func pushforward(_ inputs: [Tensor], _ output: Tensor, _ tangents: [Tensor?]) -> Tensor {
    guard let tangent = tangents[0] else { preconditionFailure("a pushforward has a tangent") }
    return tangent.sum()
  }
}

extension Tensor {
  /// The sums along the last dimension: `[..., 1]`.
  public func rowSums() -> Tensor { apply(RowSums(), [self]) }
  /// The means along the last dimension: `[..., 1]`.
  public func rowMeans() -> Tensor { rowSums() * (1 / Float(columns)) }
  /// The sum of all elements: `[1]`.
  public func sum() -> Tensor { apply(Sum(), [self]) }
  /// The mean of all elements: `[1]`.
  public func mean() -> Tensor { sum() * (1 / Float(max(1, count))) }
  /// The sum of the squares of all elements, in double precision.
  public var sumOfSquares: Double { ck_sum_of_squares(pointer, count) }
}
