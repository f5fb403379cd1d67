public import Tensors

/// A causal convolution over time, channels last, with only left context (Mimi).
public struct StreamingConvolution: Sendable {
  /// How the context before the first sample is filled.
  public enum Padding: Sendable {
    /// With zeros.
    case zeros
    /// With copies of the first column.
    case replicate
  }

  private let weight: PackedMatrix
  private let bias: Tensor?
  private let inputs: Int
  private let kernel: Int
  private let stride: Int
  private let dilation: Int
  private let padding: Padding
  private let elu: Bool

  /// Reads `weight` `[outputs, inputs, kernel]` and `bias` `[outputs]`.
  ///
  /// - Parameter elu: whether the input passes through ELU first.
  public init(
    _ weights: Weights, inputs: Int, outputs: Int, kernel: Int, stride: Int = 1,
    dilation: Int = 1, bias: Bool = true, padding: Padding, elu: Bool = false
  ) throws {
    weight = try weights.packed("weight", outputs: outputs, inputs: kernel * inputs) {
      try weights.tensor("weight", [outputs, inputs, kernel]).tapsOutermost()
    }
    self.bias = bias ? try weights.tensor("bias", [outputs]) : nil
    self.inputs = inputs
    self.kernel = kernel
    self.stride = stride
    self.dilation = dilation
    self.padding = padding
    self.elu = elu
  }

  /// The last columns of the input so far, as they are multiplied; nil before the first.
  public struct State: Sendable {
    var context: Tensor?
  }

  /// A state that has seen nothing.
  public func initialState() -> State { State() }

  /// The next steps.
  ///
  /// - Parameters:
  ///   - x: `[steps, inputs]`, steps a multiple of the stride.
  /// - Returns: `[steps / stride, outputs]`.
  public func callAsFunction(_ x: Tensor, state: inout State) -> Tensor {
    let context = (kernel - 1) * dilation + 1 - stride
    precondition(x.rows.isMultiple(of: stride), "steps come in multiples of the stride")
    guard x.rows > 0 else { return Tensor.zeros([0, weight.rows]) }
    let before: Tensor
    if let known = state.context {
      before = known
    } else if padding == .replicate, context > 0 {
      let first = x.gatherRows([Int32](repeating: 0, count: context))
      before = elu ? first.elu() : first
    } else {
      before = .zeros([context, inputs])
    }
    let joined = context > 0 || elu ? x.following(before, elu: elu) : x
    if context > 0 {
      // A copy, so that the long input is not kept alive by its last columns.
      state.context = joined.gatherRows(
        (0..<context).map { Int32(joined.rows - context + $0) })
    }
    return joined.convolution(
      weight: weight, bias: bias, kernel: kernel, stride: stride, dilation: dilation)
  }
}

/// A causal transposed convolution whose kernel is twice its stride: each output step is a product
/// of the current and the previous input, so that the state is one input column.
public struct StreamingTransposedConvolution: Sendable {
  private let weight: PackedMatrix
  private let bias: Tensor?
  private let inputs: Int
  private let outputs: Int
  private let stride: Int
  private let elu: Bool

  /// Reads `weight` `[inputs, outputs, 2 * stride]` and `bias` `[outputs]`.
  ///
  /// - Parameter elu: whether the input passes through ELU first.
  public init(
    _ weights: Weights, inputs: Int, outputs: Int, stride: Int, elu: Bool = false
  ) throws {
    weight = try weights.packed("weight", outputs: stride * outputs, inputs: 2 * inputs) {
      try weights.tensor("weight", [inputs, outputs, 2 * stride])
        .transposedTaps(stride: stride)
    }
    let oneBias = try weights.tensor("bias", [outputs])
    bias = concatenateColumns([Tensor](repeating: oneBias, count: stride))
    self.inputs = inputs
    self.outputs = outputs
    self.stride = stride
    self.elu = elu
  }

  /// The last input column, as it is multiplied; nil before the first.
  public struct State: Sendable {
    var previous: Tensor?
  }

  /// A state that has seen nothing.
  public func initialState() -> State { State() }

  /// The next steps.
  ///
  /// - Parameters:
  ///   - x: `[steps, inputs]`.
  /// - Returns: `[steps * stride, outputs]`.
  public func callAsFunction(_ x: Tensor, state: inout State) -> Tensor {
    guard x.rows > 0 else { return Tensor.zeros([0, outputs]) }
    let joined = x.following(state.previous ?? .zeros([1, inputs]), elu: elu)
    state.previous = joined.gatherRows([Int32(joined.rows - 1)])
    let y = joined.convolution(
      weight: weight, bias: bias, kernel: 2, stride: 1, dilation: 1)
    return y.reshaped([x.rows * stride, outputs])
  }
}

/// A depthwise transposed convolution whose kernel is twice its stride, without bias.
public struct StreamingUpsampling: Sendable {
  private let weight: Tensor
  private let stride: Int

  /// Reads `weight` `[channels, 1, 2 * stride]`.
  public init(_ weights: Weights, channels: Int, stride: Int) throws {
    weight = try weights.tensor("weight", [channels, 1, 2 * stride])
      .reshaped([channels, 2 * stride]).transposed()
    self.stride = stride
  }

  /// The last frame; nil before the first.
  public struct State: Sendable {
    var previous: Tensor?
  }

  /// A state that has seen nothing.
  public func initialState() -> State { State() }

  /// - Parameter x: `[frames, channels]`.
  /// - Returns: `[frames * stride, channels]`.
  public func callAsFunction(_ x: Tensor, state: inout State) -> Tensor {
    guard x.rows > 0 else { return x }
    let joined = concatenateRows([state.previous ?? .zeros([1, x.columns]), x])
    state.previous = joined.gatherRows([Int32(joined.rows - 1)])
    return joined.depthwiseUpsampled(weight: weight, stride: stride)
  }
}
