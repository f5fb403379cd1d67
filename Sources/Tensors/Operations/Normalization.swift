import CKernels

/// Layer norm over the last dimension (biased variance); inputs x, and weight and bias if affine.
struct LayerNormalization: FusedOperation {
  let epsilon: Float

  func value(_ inputs: [Tensor]) -> Tensor {
    let x = inputs[0]
    let weight = inputs.count > 1 ? inputs[1] : nil
    let bias = inputs.count > 1 ? inputs[2] : nil
    return Tensor(shape: x.shape) { target in
      let target = SharedPointer(target)
      parallelRows(x.rows, columns: x.columns) { range in
        ck_layer_norm(
          x.pointer + range.lowerBound * x.columns, weight?.pointer, bias?.pointer, epsilon,
          target + range.lowerBound * x.columns, range.count, x.columns)
      }
    }
  }

  func readsInputs(_ wanted: [Bool]) -> [Bool] { wanted.indices.map { $0 < 2 } }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    let x = inputs[0]
    let weight = inputs.count > 1 ? inputs[1] : nil
    let wantsParameters = weight != nil && (wanted[1] || wanted[2])
    // Parameter gradients: a partial sum for each fixed block of rows, then the blocks in order.
    let block = 64
    let blocks = (x.rows + block - 1) / block
    let width = x.columns
    let partials = Tensor.zeros([max(1, wantsParameters ? blocks : 0), 2 * width])
    let sums = SharedPointer(partials.storage.floats)
    let dx = Tensor(shape: x.shape) { target in
      let target = SharedPointer(target)
      parallelRanges(blocks, grain: 1) { range in
        for index in range {
          let start = index * block
          let count = min(block, x.rows - start)
          ck_layer_norm_gradient(
            x.pointer + start * width, weight?.pointer, gradient.pointer + start * width, epsilon,
            target + start * width, wantsParameters ? sums + 2 * index * width : nil,
            wantsParameters ? sums + (2 * index + 1) * width : nil, count, width)
        }
      }
    }
    guard inputs.count > 1 else { return [dx] }
    guard wantsParameters else { return [dx, nil, nil] }
    let total = Tensor(shape: [2, width]) { target in
      ck_column_sums(partials.pointer, target, blocks, 2 * width)
    }
    return [dx, total.rows(0..<1).reshaped([width]), total.rows(1..<2).reshaped([width])]
  }

  func composition(_ inputs: [Tensor]) -> Tensor {
    let x = inputs[0]
    let centred = x - x.rowMeans()
    let normalised = centred * (centred.squared().rowMeans() + epsilon).rsqrt()
    return inputs.count > 1 ? normalised * inputs[1] + inputs[2] : normalised
  }
}

extension Tensor {
  /// Layer norm over the last dimension, with biased variance.
  ///
  /// - Parameters:
  ///   - weight: `[n]`; nil for no affine part.
  ///   - bias: `[n]`; given with weight.
  public func layerNormalized(weight: Tensor? = nil, bias: Tensor? = nil, epsilon: Float) -> Tensor
  {
    if let weight, let bias {
      return apply(LayerNormalization(epsilon: epsilon), [self, weight, bias])
    }
    return apply(LayerNormalization(epsilon: epsilon), [self])
  }
}
