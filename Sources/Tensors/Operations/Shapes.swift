import CKernels

/// Some columns of the last dimension.
struct Columns: LinearOperation {
  let range: Range<Int>

  func value(_ inputs: [Tensor]) -> Tensor {
    let x = inputs[0]
    return Tensor(shape: x.shape.dropLast() + [range.count]) { target in
      let target = SharedPointer(target)
      parallelRows(x.rows, columns: range.count) { rows in
        for row in rows {
          (target + row * range.count).update(
            from: x.pointer + row * x.columns + range.lowerBound, count: range.count)
        }
      }
    }
  }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    let x = inputs[0]
    return [
      Tensor(shape: x.shape) { target in
        target.update(repeating: 0, count: x.count)
        for row in 0..<x.rows {
          (target + row * x.columns + range.lowerBound).update(
            from: gradient.pointer + row * range.count, count: range.count)
        }
      }
    ]
  }

  func pushforward(_ inputs: [Tensor], _ output: Tensor, _ tangents: [Tensor?]) -> Tensor {
    guard let tangent = tangents[0] else { preconditionFailure("a pushforward has a tangent") }
    return tangent.columns(range)
  }
}

/// Tensors of the same rows side by side.
struct ConcatenatedColumns: LinearOperation {
  func value(_ inputs: [Tensor]) -> Tensor {
    let width = inputs.reduce(0) { $0 + $1.columns }
    return Tensor(shape: inputs[0].shape.dropLast() + [width]) { target in
      var column = 0
      for input in inputs {
        for row in 0..<input.rows {
          (target + row * width + column).update(
            from: input.pointer + row * input.columns, count: input.columns)
        }
        column += input.columns
      }
    }
  }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    var column = 0
    return zip(inputs, wanted).map { input, isWanted in
      defer { column += input.columns }
      return isWanted
        ? gradient.columns(column..<column + input.columns) : nil
    }
  }

  func pushforward(_ inputs: [Tensor], _ output: Tensor, _ tangents: [Tensor?]) -> Tensor {
    concatenateColumns(zip(inputs, tangents).map { $1 ?? Tensor.zeros($0.shape) })
  }
}

/// Tensors of the same width on top of each other, as one matrix.
struct ConcatenatedRows: LinearOperation {
  func value(_ inputs: [Tensor]) -> Tensor {
    Tensor(shape: [inputs.reduce(0) { $0 + $1.rows }, inputs[0].columns]) { target in
      var position = 0
      for input in inputs {
        (target + position).update(from: input.pointer, count: input.count)
        position += input.count
      }
    }
  }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    var row = 0
    return inputs.map { input in
      defer { row += input.rows }
      return gradient.rows(row..<row + input.rows).reshaped(input.shape)
    }
  }

  func pushforward(_ inputs: [Tensor], _ output: Tensor, _ tangents: [Tensor?]) -> Tensor {
    concatenateRows(zip(inputs, tangents).map { $1 ?? Tensor.zeros($0.shape) })
  }
}

/// Rows chosen by index, as one matrix; a negative index gives zeros.
struct GatheredRows: LinearOperation {
  let indices: [Int32]

  func value(_ inputs: [Tensor]) -> Tensor {
    let x = inputs[0]
    return Tensor(shape: [indices.count, x.columns]) { target in
      let target = SharedPointer(target)
      parallelRows(indices.count, columns: x.columns) { range in
        for row in range {
          let place = target + row * x.columns
          let index = Int(indices[row])
          if index < 0 {
            place.update(repeating: 0, count: x.columns)
          } else {
            precondition(index < x.rows, "row \(index) of \(x.rows)")
            place.update(from: x.pointer + index * x.columns, count: x.columns)
          }
        }
      }
    }
  }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    let x = inputs[0]
    return [
      Tensor(shape: x.shape) { target in
        target.update(repeating: 0, count: x.count)
        ck_scatter_add_rows(gradient.pointer, indices, target, indices.count, x.columns)
      }
    ]
  }

  func pushforward(_ inputs: [Tensor], _ output: Tensor, _ tangents: [Tensor?]) -> Tensor {
    guard let tangent = tangents[0] else { preconditionFailure("a pushforward has a tangent") }
    return tangent.gatherRows(indices)
  }
}

/// Consecutive rows, as one matrix.
struct Rows: LinearOperation {
  let range: Range<Int>

  func value(_ inputs: [Tensor]) -> Tensor {
    let x = inputs[0]
    precondition(range.upperBound <= x.rows, "rows \(range) of \(x.rows)")
    return Tensor(
      shape: [range.count, x.columns], storage: x.storage,
      offset: x.offset + range.lowerBound * x.columns)
  }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    let x = inputs[0]
    return [
      Tensor(shape: x.shape) { target in
        target.update(repeating: 0, count: x.count)
        (target + range.lowerBound * x.columns).update(
          from: gradient.pointer, count: gradient.count)
      }
    ]
  }

  func pushforward(_ inputs: [Tensor], _ output: Tensor, _ tangents: [Tensor?]) -> Tensor {
    guard let tangent = tangents[0] else { preconditionFailure("a pushforward has a tangent") }
    return tangent.rows(range)
  }
}

/// Tensors of the same rows side by side: `[..., n1 + n2 + …]`.
public func concatenateColumns(_ parts: [Tensor]) -> Tensor { apply(ConcatenatedColumns(), parts) }

/// Tensors of the same width on top of each other: `[rows, n]`.
public func concatenateRows(_ parts: [Tensor]) -> Tensor {
  parts.count == 1
    ? parts[0].reshaped([parts[0].rows, parts[0].columns]) : apply(ConcatenatedRows(), parts)
}

extension Tensor {
  /// Some columns of the last dimension.
  public func columns(_ range: Range<Int>) -> Tensor { apply(Columns(range: range), [self]) }

  /// Consecutive rows: `[count, n]`; shares memory.
  public func rows(_ range: Range<Int>) -> Tensor { apply(Rows(range: range), [self]) }

  /// Rows chosen by index, a negative one giving zeros: `[indices, n]`.
  public func gatherRows(_ indices: [Int32]) -> Tensor {
    apply(GatheredRows(indices: indices), [self])
  }

  /// The last dimension cut into equal parts.
  public func splitColumns(_ parts: Int) -> [Tensor] {
    let width = columns / parts
    return (0..<parts).map { columns($0 * width..<($0 + 1) * width) }
  }
}
