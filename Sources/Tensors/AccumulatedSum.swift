/// The sum of some scalars, whose gradients are computed with each of them: what one is made of goes
/// before the next is begun, so that memory holds one piece at a time.
///
/// - Parameters:
///   - inputs: what the pieces are made of.
///   - pieces: how many there are.
///   - body: makes one of them, `[1]`, of its number and the inputs, which are variables of a tape of
///     its own.
/// - Returns: `[1]`, recorded where the inputs are.
public func accumulatedSum(
  _ inputs: [Tensor], pieces: Int, _ body: (_ piece: Int, _ inputs: [Tensor]) throws -> Tensor
) rethrows -> Tensor {
  let wanted = inputs.map { $0.node != nil }
  let constants = inputs.map { $0.detached() }
  var sum: Float = 0
  var gradients = [Tensor?](repeating: nil, count: inputs.count)
  for piece in 0..<pieces {
    guard wanted.contains(true) else {
      sum += try body(piece, constants).scalar
      continue
    }
    let tape = Tape()
    let values = zip(constants, wanted).map { $1 ? tape.watch($0) : $0 }
    let part = try body(piece, values)
    sum += part.scalar
    for (index, gradient) in tape.gradients(of: part, for: values).enumerated() {
      if wanted[index], let gradient { gradients[index].accumulate(gradient) }
    }
  }
  return apply(KnownGradients(sum: sum, gradients: gradients), inputs)
}

/// A number whose gradients are known, recorded where what it was made of is.
///
/// - Parameters:
///   - gradients: for each input its gradient, in its shape; nil for none.
/// - Returns: `[1]`.
public func scalar(_ value: Float, gradients: [Tensor?], of inputs: [Tensor]) -> Tensor {
  apply(KnownGradients(sum: value, gradients: gradients), inputs)
}

/// A scalar whose gradients were computed with it.
private struct KnownGradients: Operation {
  let sum: Float
  let gradients: [Tensor?]

  func value(_ inputs: [Tensor]) -> Tensor { Tensor([sum]) }

  func readsInputs(_ wanted: [Bool]) -> [Bool] { wanted.map { _ in false } }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    let scale = gradient.scalar
    return gradients.map { known in known.map { scale == 1 ? $0 : $0 * scale } }
  }
}
