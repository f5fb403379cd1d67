import CKernels

/// x · wᵀ for weights as PyTorch stores them: x [..., k], w [n, k], result [..., n].
struct MatrixProduct: PrimitiveOperation {
  func value(_ inputs: [Tensor]) -> Tensor {
    let (x, w) = (inputs[0], inputs[1])
    precondition(
      w.shape.count == 2 && x.columns == w.columns, "cannot multiply \(x.shape) by \(w.shape)ᵀ")
    return Tensor(shape: x.shape.dropLast() + [w.rows]) { target in
      Products.rows(
        x.pointer, stride: x.columns, w.pointer, transposed: true, target, m: x.rows, n: w.rows,
        k: w.columns)
    }
  }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    let (x, w) = (inputs[0], inputs[1])
    var parts: [Tensor?] = [nil, nil]
    if wanted[0] {
      parts[0] = Tensor(shape: x.shape) { target in
        Products.rows(
          gradient.pointer, stride: w.rows, w.pointer, transposed: false, target, m: x.rows,
          n: w.columns, k: w.rows)
      }
    }
    if wanted[1] {
      parts[1] = Tensor(shape: w.shape) { target in
        Products.weightGradient(
          gradient.pointer, x.pointer, target, m: x.rows, n: w.rows, k: w.columns)
      }
    }
    return parts
  }

  func pushforward(_ inputs: [Tensor], _ output: Tensor, _ tangents: [Tensor?]) -> Tensor {
    let (x, w) = (inputs[0], inputs[1])
    switch (tangents[0], tangents[1]) {
    case (let p?, let q?): return p.product(transposed: w) + x.product(transposed: q)
    case (let p?, nil): return p.product(transposed: w)
    case (nil, let q?): return x.product(transposed: q)
    case (nil, nil): preconditionFailure("a pushforward has a tangent")
    }
  }
}

extension Tensor {
  /// The product with transposed weights: `[..., k]` by `[n, k]` to `[..., n]`.
  public func product(transposed weights: Tensor) -> Tensor {
    apply(MatrixProduct(), [self, weights])
  }

  /// The same for a step of generation, with an optional bias `[n]`: reads the weights once. Not
  /// recorded.
  public func stepProduct(transposed weights: Tensor, bias: Tensor?) -> Tensor {
    precondition(
      columns == weights.columns, "cannot multiply \(shape) by \(weights.shape)ᵀ")
    precondition(node == nil && tangentBox == nil, "a step is not differentiated")
    return Tensor(shape: shape.dropLast() + [weights.rows]) { target in
      Products.fewRows(
        pointer, stride: columns, weights.pointer, bias: bias?.pointer, target, m: rows,
        n: weights.rows, k: columns)
    }
  }
}
