import Base

/// The sum of some scalars, whose gradients are computed with each of them: what one is made of goes
/// before others are begun, so that memory holds as many pieces as there are threads, each of which
/// makes one by itself. The sum does not depend on their number.
///
/// - Parameters:
///   - inputs: what the pieces are made of.
///   - pieces: how many there are.
///   - body: makes one of them, `[1]`, of its number and the inputs, which are variables of a tape of
///     its own; and what else is to be known of it.
/// - Returns: the sum `[1]`, recorded where the inputs are, and the rest in the order of the pieces.
public func accumulatedSum<Rest: Sendable>(
  _ inputs: [Tensor], pieces: Int,
  _ body: @Sendable (_ piece: Int, _ inputs: [Tensor]) throws -> (Tensor, Rest)
) throws -> (sum: Tensor, rest: [Rest]) {
  let wanted = inputs.map { $0.node != nil }
  let constants = inputs.map { $0.detached() }
  // All pieces multiply with the same weights.
  let context = Products.Context(remembering: constants)
  @Sendable func piece(_ number: Int) throws -> (Float, [Tensor?], Rest) {
    guard wanted.contains(true) else {
      let (part, rest) = try body(number, constants)
      return (part.scalar, [], rest)
    }
    let tape = Tape()
    let values = zip(constants, wanted).map { $1 ? tape.watch($0) : $0 }
    let (part, rest) = try body(number, values)
    return (part.scalar, tape.gradients(of: part, for: values), rest)
  }

  var sum: Float = 0
  var gradients = [Tensor?](repeating: nil, count: inputs.count)
  var all: [Rest] = []
  let atATime = max(1, ThreadBudget.available)
  for first in stride(from: 0, to: pieces, by: atATime) {
    let count = min(atATime, pieces - first)
    let results = Locked(
      [Result<(Float, [Tensor?], Rest), any Error>?](repeating: nil, count: count))
    ThreadBudget.forEach(count) { place in
      let result = Result { try context.apply { try piece(first + place) } }
      results.withLock { $0[place] = result }
    }
    for result in results.withLock({ $0 }) {
      guard let (part, parts, rest) = try result?.get() else { continue }
      sum += part
      for (index, gradient) in parts.enumerated() where wanted[index] {
        if let gradient { gradients[index].accumulate(gradient) }
      }
      all.append(rest)
    }
  }
  return (apply(KnownGradients(sum: sum, gradients: gradients), inputs), all)
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
