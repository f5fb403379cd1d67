public import Tensors

/// A convolution over time `[batch, steps, channels]` or over images `[batch, height, width, channels]`.
public struct Convolution: Sendable {
  private let weight: Matrix
  private let bias: Tensor?
  let shape: ConvolutionShape

  /// Reads `weight` `[outputs, inputs, taps...]`, or its parts where it is normed, and `bias` `[outputs]` where
  /// it has one.
  public init(
    _ weights: Weights, inputs: Int, outputs: Int, _ shape: ConvolutionShape,
    isNormed: Bool = false, bias: Bool = true
  ) throws {
    let taps = [shape.kernel.height, shape.kernel.width].suffix(shape.dimensions)
    weight = try weights.convolutionMatrix(
      [outputs, inputs] + taps, isNormed: isNormed, outputs: outputs, inputs: shape.taps * inputs
    ) { $0.tapsOutermost() }
    self.bias = bias ? try weights.tensor("bias", [outputs]) : nil
    self.shape = shape
  }

  private init(weight: Matrix, bias: Tensor?, _ shape: ConvolutionShape) {
    self.weight = weight
    self.bias = bias
    self.shape = shape
  }

  /// Reads linear maps of each step without biases, one after the other: as many for training, where they must
  /// stay apart, as one for inference.
  ///
  /// - Parameter widths: before the first, and after each.
  public static func chain(_ weights: [Weights], widths: [Int]) throws -> [Convolution] {
    let shape = ConvolutionShape.same(kernel: 1)
    guard let last = weights.last, last.packing != nil else {
      return try weights.enumerated().map { index, weights in
        try Convolution(
          weights, inputs: widths[index], outputs: widths[index + 1], shape, bias: false)
      }
    }
    let (inputs, outputs) = (widths[0], widths[weights.count])
    let matrix = try last.packed("chain", outputs: outputs, inputs: inputs) {
      // From the end: the products stay narrow.
      var product: Tensor?
      for (index, weights) in weights.enumerated().reversed() {
        let shape = [widths[index + 1], widths[index]]
        let matrix = try weights.tensor("weight", shape + [1]).reshaped(shape)
        product = product.map { $0.product(transposed: matrix.transposed()) } ?? matrix
      }
      return product ?? .zeros([outputs, inputs])
    }
    return [Convolution(weight: .packed(matrix), bias: nil, shape)]
  }

  /// Reads a normed convolution over time as several, each with some of the outputs.
  ///
  /// - Parameters:
  ///   - orders: of each the outputs that it has, in order; -1 for one that is zero.
  ///   - outputs: of all.
  public static func parts(
    _ weights: Weights, inputs: Int, orders: [[Int32]], of outputs: Int, _ shape: ConvolutionShape
  ) throws -> [Convolution] {
    let stored = weights["parametrizations"]["weight"]
    let bias = try weights.tensor("bias", [outputs]).reshaped([outputs, 1])
    let lengths = try stored.tensor("original0", [outputs, 1, 1]).reshaped([outputs, 1])
    let directions = try stored.tensor("original1", [outputs, inputs, shape.taps])
    defer { if weights.packing != nil { directions.releasePages() } }
    func rows(_ order: [Int32]) -> Tensor {
      directions.reshaped([outputs, inputs * shape.taps]).gatherRows(order)
        .withNorm(lengths.gatherRows(order), emptyRows: order.contains(-1))
        .reshaped([order.count, inputs, shape.taps]).tapsOutermost()
    }
    return try orders.enumerated().map { index, order in
      let columns = inputs * shape.taps
      let weight: Matrix =
        weights.packing == nil
        ? .tensor(rows(order))
        : .packed(
          try stored.packed("part.\(index)", outputs: order.count, inputs: columns) { rows(order) })
      return Convolution(
        weight: weight, bias: bias.gatherRows(order).reshaped([order.count]), shape)
    }
  }

  /// - Parameter x: `[batch, steps, inputs]` or `[batch, height, width, inputs]`.
  /// - Returns: the same with other sizes.
  public func callAsFunction(_ x: Tensor) -> Tensor { x.convolved(shape, weight, bias: bias) }

  /// The same of an input that has its zeros around it already.
  func callAsFunction(padded x: Tensor) -> Tensor {
    var shape = shape
    shape.padding = .init(0, 0)
    return x.convolved(shape, weight, bias: bias)
  }

  /// Whether the weights are packed, so that nothing is recorded.
  var isPacked: Bool { if case .packed = weight { true } else { false } }
}

/// A transposed convolution over time whose kernel is twice its stride: each output step is made of two
/// input steps.
public struct TransposedConvolution: Sendable {
  private let weight: Matrix
  private let bias: Tensor
  private let outputs: Int
  private let stride: Int

  /// Reads `weight` `[inputs, outputs, 2 * stride]`, or its parts where it is normed, and `bias` `[outputs]`.
  public init(
    _ weights: Weights, inputs: Int, outputs: Int, stride: Int, isNormed: Bool = false
  ) throws {
    weight = try weights.convolutionMatrix(
      [inputs, outputs, 2 * stride], isNormed: isNormed, outputs: stride * outputs,
      inputs: 2 * inputs
    ) { $0.transposedTaps(stride: stride) }
    bias = try weights.tensor("bias", [outputs])
    self.outputs = outputs
    self.stride = stride
  }

  /// As PyTorch with a padding of half the stride, rounded up, and an output padding of what is missing.
  ///
  /// - Parameter x: `[batch, steps, inputs]`.
  /// - Returns: `[batch, steps * stride, outputs]`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    let (batch, steps) = (x.shape[0], x.shape[1])
    let y = x.convolved(ConvolutionShape(kernel: 2, padding: 1), weight, bias: nil)
    let cut = stride / 2 + stride % 2
    let rows = y.reshaped([batch * (steps + 1) * stride, outputs])
    let parts = (0..<batch).map { row in
      let start = row * (steps + 1) * stride + cut
      return rows.rows(start..<start + steps * stride)
    }
    return (concatenateRows(parts) + bias).reshaped([batch, steps * stride, outputs])
  }
}

/// Group norm with weight and bias (Wu and He, 2018).
struct GroupNorm: Sendable {
  private let weight: Tensor
  private let bias: Tensor
  private let groups: Int

  /// Reads `weight` and `bias`, each `[channels]`.
  init(_ weights: Weights, channels: Int, groups: Int) throws {
    weight = try weights.tensor("weight", [channels])
    bias = try weights.tensor("bias", [channels])
    self.groups = groups
  }

  private static let epsilon: Float = 1e-5

  /// The norm over all steps of `[batch, ..., channels]`.
  func callAsFunction(_ x: Tensor) -> Tensor {
    x.groupNormalized(groups: groups, weight: weight, bias: bias, epsilon: Self.epsilon)
  }

  /// Its GELU (exact form) with zeros around it. Not recorded.
  func paddedGELU(_ x: Tensor, padding: ConvolutionShape.Extent) -> Tensor {
    x.groupNormalizedGELU(
      groups: groups, weight: weight, bias: bias, epsilon: Self.epsilon, padding: padding)
  }
}

/// Group norm, GELU (exact form), convolution: a layer of residual branches with activations first.
public struct NormedConvolution: Sendable {
  private let norm: GroupNorm
  private let convolution: Convolution

  /// - Parameters:
  ///   - norm: the norm's weights.
  ///   - channels: before and after.
  public init(
    norm: Weights, groups: Int, _ weights: Weights, channels: Int, _ shape: ConvolutionShape,
    isNormed: Bool = false
  ) throws {
    self.norm = try GroupNorm(norm, channels: channels, groups: groups)
    convolution = try Convolution(
      weights, inputs: channels, outputs: channels, shape, isNormed: isNormed)
  }

  /// - Parameter x: `[batch, steps, channels]` or `[batch, height, width, channels]`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    guard convolution.isPacked else { return convolution(norm(x).exactGELU()) }
    return convolution(
      padded: norm.paddedGELU(x, padding: convolution.shape.padding))
  }
}

extension Weights {
  /// The weights of a convolution as a matrix.
  ///
  /// - Parameters:
  ///   - shape: of the stored tensor.
  ///   - isNormed: whether length and direction are stored apart (Salimans and Kingma, 2016).
  ///   - arrange: makes the matrix `[outputs, inputs]` of the tensor.
  func convolutionMatrix(
    _ shape: [Int], isNormed: Bool, outputs: Int, inputs: Int, _ arrange: (Tensor) -> Tensor
  ) throws -> Matrix {
    let parts = self["parametrizations"]["weight"]
    func tensor() throws -> Tensor {
      guard !isNormed else { return arrange(try parts.normed(shape)) }
      let stored = try self.tensor("weight", shape)
      defer { if packing != nil { stored.releasePages() } }
      return arrange(stored)
    }
    guard packing != nil else { return .tensor(try tensor()) }
    return .packed(
      isNormed
        ? try parts.packed("original1", outputs: outputs, inputs: inputs, of: tensor)
        : try packed("weight", outputs: outputs, inputs: inputs, of: tensor))
  }

  /// A tensor whose parts along the first dimension are stored as lengths (`original0`) and directions
  /// (`original1`).
  fileprivate func normed(_ shape: [Int]) throws -> Tensor {
    let lengths = try tensor("original0", [shape[0]] + shape.dropFirst().map { _ in 1 })
    let directions = try tensor("original1", shape)
    defer { if packing != nil { directions.releasePages() } }
    return directions.withNorm(lengths)
  }
}

extension Tensor {
  /// The direction of each part of the first dimension, with another length.
  ///
  /// - Parameter emptyRows: whether there are parts of zeros, which stay so.
  fileprivate func withNorm(_ lengths: Tensor, emptyRows: Bool = false) -> Tensor {
    let directions = reshaped([shape[0], count / shape[0]])
    var squares = directions.squared().rowSums()
    if emptyRows {
      squares = squares + Tensor(lengths.values.map { $0 == 0 ? 1 : 0 }, shape: squares.shape)
    }
    let scales = lengths.reshaped([shape[0], 1]) * squares.rsqrt()
    return (directions * scales).reshaped(shape)
  }

  fileprivate func convolved(_ shape: ConvolutionShape, _ weight: Matrix, bias: Tensor?) -> Tensor {
    switch weight {
    case .packed(let weight): return convolved(shape, weights: weight, bias: bias)
    case .tensor(let weight):
      let y = convolved(shape, weights: weight)
      return bias.map { y + $0 } ?? y
    case .adapted: preconditionFailure("convolutions have no low-rank updates")
    }
  }

  /// Convolution weights `[outputs, inputs, taps...]` as rows with the taps outermost:
  /// `[outputs, taps * inputs]`.
  func tapsOutermost() -> Tensor {
    let (outputs, inputs) = (shape[0], shape[1])
    return reshaped([outputs, inputs, count / (outputs * inputs)]).permuted([0, 2, 1])
      .reshaped([outputs, count / outputs])
  }

  /// Transposed convolution weights `[inputs, outputs, 2 * stride]` as a product's: row (j, o) holds
  /// the taps for the previous input, then for the current one: `[stride * outputs, 2 * inputs]`.
  func transposedTaps(stride: Int) -> Tensor {
    let (inputs, outputs) = (shape[0], shape[1])
    let halves = reshaped([inputs * outputs, 2 * stride]).splitColumns(2)
    return concatenateColumns([halves[1], halves[0]])
      .reshaped([inputs, outputs, 2, stride]).permuted([3, 1, 2, 0])
      .reshaped([stride * outputs, 2 * inputs])
  }
}
