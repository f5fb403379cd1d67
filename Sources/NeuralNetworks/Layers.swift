public import Tensors

/// y = x Wᵀ + b, weights as PyTorch stores them.
public struct Linear: Sendable {
  /// `[outputs, inputs]`
  public let weight: Tensor
  /// `[outputs]`
  public let bias: Tensor?

  /// Reads `weight`, and `bias` when the layer has one.
  public init(_ weights: Weights, inputs: Int, outputs: Int, bias: Bool = true) throws {
    weight = try weights.tensor("weight", [outputs, inputs])
    self.bias = bias ? try weights.tensor("bias", [outputs]) : nil
  }

  /// A layer of given weights `[outputs, inputs]` and bias `[outputs]`.
  public init(weight: Tensor, bias: Tensor?) {
    self.weight = weight
    self.bias = bias
  }

  /// - Returns: `[..., outputs]`.
  public func callAsFunction(_ x: Tensor, phase: Phase = .prefix) -> Tensor {
    if phase == .step { return x.stepProduct(transposed: weight, bias: bias) }
    let y = x.product(transposed: weight)
    return bias.map { y + $0 } ?? y
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

  /// The normalised rows, in the input's shape.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    x.layerNormalized(weight: weight, bias: bias, epsilon: epsilon)
  }
}
