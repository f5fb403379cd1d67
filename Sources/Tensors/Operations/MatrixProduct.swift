/// x · wᵀ for weights as PyTorch stores them: x [..., k], w [n, k], result [..., n].
struct MatrixProduct: PrimitiveOperation {
  func value(_ inputs: [Tensor]) -> Tensor {
    let (x, w) = (inputs[0], inputs[1])
    precondition(
      w.shape.count == 2 && x.columns == w.columns, "cannot multiply \(x.shape) by \(w.shape)ᵀ")
    return Tensor(shape: x.shape.dropLast() + [w.rows]) {
      Products.product(x, w, transposed: true, $0)
    }
  }

  func readsInputs(_ wanted: [Bool]) -> [Bool] { [wanted[1], wanted[0]] }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    let (x, w) = (inputs[0], inputs[1])
    return [
      wanted[0]
        ? Tensor(shape: x.shape) { Products.product(gradient, w, transposed: false, $0) } : nil,
      wanted[1] ? Tensor(shape: w.shape) { Products.weightGradient(gradient, x, $0) } : nil,
    ]
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

/// gelu(x) · wᵀ, of which a tape keeps x alone: the activation, the largest tensor of a transformer, is
/// made again where the reverse pass needs it.
struct GELUProduct: FusedOperation {
  private static let gelu = Function(kind: .gelu)

  func value(_ inputs: [Tensor]) -> Tensor {
    MatrixProduct().value([Self.gelu.value([inputs[0]]), inputs[1]])
  }

  func readsInputs(_ wanted: [Bool]) -> [Bool] { [true, wanted[0]] }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    let (x, w) = (inputs[0], inputs[1])
    let activated = wanted[1] ? Self.gelu.value([x]) : x
    var parts = MatrixProduct().pullback([activated, w], output, gradient, wanted)
    if let inner = parts[0] { parts[0] = Self.gelu.pullback([x], x, inner, [true])[0] }
    return parts
  }

  func composition(_ inputs: [Tensor]) -> Tensor {
    inputs[0].gelu().product(transposed: inputs[1])
  }
}

extension Tensor {
  /// The product of its GELU (tanh form) with transposed weights: `[..., k]` by `[n, k]` to `[..., n]`.
  public func geluProduct(transposed weights: Tensor) -> Tensor {
    apply(GELUProduct(), [self, weights])
  }

  /// The product with transposed weights: `[..., k]` by `[n, k]` to `[..., n]`.
  public func product(transposed weights: Tensor) -> Tensor {
    apply(MatrixProduct(), [self, weights])
  }
}
