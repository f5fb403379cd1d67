import Base
public import Tensors

/// Weights of a linear map: a tensor that may stand on a tape, or packed for inference.
public enum Matrix: Sendable {
  /// `[outputs, inputs]`
  case tensor(Tensor)
  /// Packed once, for many products.
  case packed(PackedMatrix)
  /// With low-rank updates beside it, in the order of its outputs.
  indirect case adapted(Matrix, [LowRankUpdate])

  /// x Wᵀ + b: `[..., inputs]` to `[..., outputs]`.
  public func callAsFunction(_ x: Tensor, bias: Tensor? = nil) -> Tensor {
    switch self {
    case .packed(let weights): return x.product(weights, bias: bias)
    case .tensor(let weights):
      let y = x.product(transposed: weights)
      return bias.map { y + $0 } ?? y
    case .adapted(let base, let updates): return base(x, bias: bias) + updates(x)
    }
  }

  /// The same with other tensors in the place of its own, taken in order.
  func replacing(_ change: (Tensor) -> Tensor) -> Matrix {
    switch self {
    case .packed: self
    case .tensor(let weights): .tensor(change(weights))
    case .adapted(let base, let updates):
      .adapted(
        base.replacing(change), updates.map { LowRankUpdate(a: change($0.a), b: change($0.b)) })
    }
  }
}

extension Weights {
  /// A matrix `[outputs, inputs]`: a tensor for training, packed where these weights are packed.
  ///
  /// - Parameter shape: of the stored tensor, where it is another.
  /// - Throws: as ``tensor(_:_:)``.
  public func matrix(
    _ name: String, outputs: Int, inputs: Int, stored shape: [Int]? = nil
  ) throws -> Matrix {
    func tensor() throws -> Tensor {
      try self.tensor(name, shape ?? [outputs, inputs]).reshaped([outputs, inputs])
    }
    let base: Matrix =
      packing == nil
      ? .tensor(try tensor())
      : .packed(try packed(name, outputs: outputs, inputs: inputs, of: tensor))
    let updates = try LowRankUpdate.updates(of: name) { try tensorOfAnyShape($0) }
    guard !updates.isEmpty else { return base }
    guard updates.fit(outputs: outputs, inputs: inputs) else {
      throw Failure.misfittingUpdate(prefix + name, in: subject, shape: [outputs, inputs])
    }
    return .adapted(base, updates)
  }
}

extension PackedMatrix {
  /// Packs weights that are not needed otherwise: pages of a mapped file are let go of.
  init(packing tensor: Tensor, _ format: WeightFormat) {
    self.init(tensor, format: format)
    tensor.releasePages()
  }
}

/// y = x Wᵀ + b, weights as PyTorch stores them.
public struct Linear: Sendable {
  private let weight: Matrix
  private let bias: Tensor?

  /// Reads `weight` `[outputs, inputs]`, and `bias` `[outputs]` when the layer has one.
  public init(_ weights: Weights, inputs: Int, outputs: Int, bias: Bool = true) throws {
    weight = try weights.matrix("weight", outputs: outputs, inputs: inputs)
    self.bias = bias ? try weights.tensor("bias", [outputs]) : nil
  }

  /// A layer of given weights, and bias `[outputs]`.
  public init(weight: Matrix, bias: Tensor?) {
    self.weight = weight
    self.bias = bias
  }

  /// - Returns: `[..., outputs]`.
  public func callAsFunction(_ x: Tensor) -> Tensor { weight(x, bias: bias) }

  /// The map of the input's GELU.
  func callAsFunction(geluOf x: Tensor) -> Tensor {
    guard case .tensor(let weights) = weight else { return self(x.gelu()) }
    let y = x.geluProduct(transposed: weights)
    return bias.map { y + $0 } ?? y
  }

  func replacing(_ change: (Tensor) -> Tensor) -> Linear {
    Linear(weight: weight.replacing(change), bias: bias.map(change))
  }
}

/// Layer norm with weight and bias.
public struct LayerNorm: Sendable {
  private let weight: Tensor
  private let bias: Tensor
  private let epsilon: Float

  /// Reads `weight` and `bias`, each `[width]`.
  public init(_ weights: Weights, width: Int, epsilon: Float) throws {
    weight = try weights.tensor("weight", [width])
    bias = try weights.tensor("bias", [width])
    self.epsilon = epsilon
  }

  private init(weight: Tensor, bias: Tensor, epsilon: Float) {
    self.weight = weight
    self.bias = bias
    self.epsilon = epsilon
  }

  func replacing(_ change: (Tensor) -> Tensor) -> LayerNorm {
    LayerNorm(weight: change(weight), bias: change(bias), epsilon: epsilon)
  }

  /// The normalised rows, in the input's shape.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    x.layerNormalized(weight: weight, bias: bias, epsilon: epsilon)
  }
}
