/// A computation of which a tape keeps only what goes in: the reverse pass makes it again, so that
/// memory holds the inside of one such computation at a time (Chen et al., 2016). The gradients are the
/// same, bit by bit.
///
/// - Parameters:
///   - inputs: all that it is made of and may be recorded.
///   - body: makes the result of values for the inputs; it is called once, or twice.
public func recomputed(
  _ inputs: [Tensor], _ body: @escaping @Sendable ([Tensor]) -> Tensor
) -> Tensor {
  apply(Recomputation(body: body), inputs)
}

private struct Recomputation: Operation {
  let body: @Sendable ([Tensor]) -> Tensor

  func value(_ inputs: [Tensor]) -> Tensor { body(inputs) }

  func readsInputs(_ wanted: [Bool]) -> [Bool] { wanted.map { _ in true } }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    let tape = Tape()
    let values = zip(inputs, wanted).map { $1 ? tape.watch($0) : $0 }
    return tape.gradients(of: body(values), gradient: gradient, for: values)
  }
}
