/// One operation: how its value is computed and how derivatives pass through it.
public protocol Operation: Sendable {
  /// The value. Inputs are constants.
  func value(_ inputs: [Tensor]) -> Tensor

  /// The reverse rule: the gradient of each input from the gradient of the output.
  ///
  /// - Parameters:
  ///   - inputs: the inputs, as constants.
  ///   - output: the output, as a constant.
  ///   - gradient: the gradient of the output, in its shape.
  ///   - wanted: for each input, whether its gradient will be used.
  /// - Returns: for each wanted input its gradient, in its shape.
  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]

  /// The inputs whose values the reverse rule reads; of the others a tape keeps the shape alone.
  ///
  /// - Parameter wanted: for each input, whether its gradient will be used.
  func readsInputs(_ wanted: [Bool]) -> [Bool]

  /// Whether the reverse rule reads the output's values.
  var readsOutput: Bool { get }
}

extension Operation {
  /// No: most follow from their inputs.
  public var readsOutput: Bool { false }
}

/// An operation with a forward rule, made of differentiable operations.
public protocol PrimitiveOperation: Operation {
  /// The tangent of the output from the tangents of the inputs (nil: zero).
  func pushforward(_ inputs: [Tensor], _ output: Tensor, _ tangents: [Tensor?]) -> Tensor
}

/// An operation that is linear in its inputs, but for a constant: its reverse rule reads no values.
protocol LinearOperation: PrimitiveOperation {}

extension LinearOperation {
  func readsInputs(_ wanted: [Bool]) -> [Bool] { wanted.map { _ in false } }
}

/// An operation computed in one go for speed. Under a tangent it is not used: value and tangent
/// both come from its composition.
public protocol FusedOperation: Operation {
  /// The same value in primitive operations.
  func composition(_ inputs: [Tensor]) -> Tensor
}

/// Applies an operation: computes the value, records it when an input stands on a tape, and pushes
/// tangents through.
public func apply(_ operation: some Operation, _ inputs: [Tensor]) -> Tensor {
  let hasTangent = inputs.contains { $0.tangentBox != nil }
  if hasTangent, let fused = operation as? any FusedOperation { return fused.composition(inputs) }
  let constants = inputs.map { $0.detached() }
  var output = operation.value(constants)
  if let tape = inputs.lazy.compactMap(\.node).first?.tape {
    output.node = tape.record(operation, inputs: inputs, constants: constants, output: output)
  }
  guard hasTangent else { return output }
  guard let primitive = operation as? any PrimitiveOperation else {
    preconditionFailure("\(type(of: operation)) has no forward rule")
  }
  return output.attaching(
    tangent: primitive.pushforward(
      inputs.map { $0.withoutTangent() }, output, inputs.map(\.tangent)))
}
