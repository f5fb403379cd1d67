import CKernels

/// What was computed, in order, for one reverse pass. One task owns a tape.
public final class Tape: @unchecked Sendable {
  struct Node: Sendable {
    let tape: Tape
    let index: Int
  }

  private struct Entry {
    /// nil for a watched leaf.
    var operation: (any Operation)?
    var inputs: [Tensor]
    /// For each input its entry on this tape, or -1 for a constant.
    var sources: [Int]
    var output: Tensor
  }

  private var entries: [Entry] = []

  /// An empty tape.
  public init() {}

  /// The same value as a variable of this tape.
  public func watch(_ tensor: Tensor) -> Tensor {
    var variable = tensor.detached()
    entries.append(Entry(operation: nil, inputs: [], sources: [], output: variable))
    variable.node = Node(tape: self, index: entries.count - 1)
    return variable
  }

  func record(
    _ operation: any Operation, inputs: [Tensor], constants: [Tensor], output: Tensor
  ) -> Node {
    let sources = inputs.map { input -> Int in
      guard let node = input.node else { return -1 }
      precondition(node.tape === self, "values of two tapes cannot be combined")
      return node.index
    }
    let reads = operation.readsInputs(sources.map { $0 >= 0 })
    entries.append(
      Entry(
        operation: operation, inputs: zip(constants, reads).map { $1 ? $0 : $0.withoutValues },
        sources: sources,
        output: operation.readsOutput ? output.detached() : output.withoutValues))
    return Node(tape: self, index: entries.count - 1)
  }

  /// The gradients of a scalar with respect to watched variables; the tape is used up.
  ///
  /// - Parameters:
  ///   - loss: one element, computed on this tape.
  ///   - variables: what ``watch(_:)`` returned.
  /// - Returns: for each variable its gradient, or nil when the loss does not depend on it.
  public func gradients(of loss: Tensor, for variables: [Tensor]) -> [Tensor?] {
    precondition(loss.count == 1, "the loss is one number")
    return gradients(
      of: loss, gradient: Tensor(repeating: 1, shape: loss.shape), for: variables)
  }

  /// The gradients of what depends on a value of which the gradient is known.
  func gradients(of value: Tensor, gradient: Tensor, for variables: [Tensor]) -> [Tensor?] {
    defer { entries = [] }
    guard let last = value.node?.index else { return variables.map { _ in nil } }
    var slots = [Tensor?](repeating: nil, count: last + 1)
    slots[last] = gradient
    for index in stride(from: last, through: 0, by: -1) {
      guard let operation = entries[index].operation else { continue }
      let entry = entries[index]
      // What was needed only for this step goes before the next one.
      entries[index] = Entry(operation: nil, inputs: [], sources: [], output: .empty)
      guard let gradient = slots[index]?.reshaped(entry.output.shape) else { continue }
      slots[index] = nil
      let wanted = entry.sources.map { $0 >= 0 }
      let parts = operation.pullback(entry.inputs, entry.output, gradient, wanted)
      for (source, part) in zip(entry.sources, parts) where source >= 0 {
        if let part { slots[source].accumulate(part) }
      }
    }
    return variables.map { variable in
      guard let node = variable.node, node.tape === self, node.index <= last else { return nil }
      return slots[node.index]?.reshaped(variable.shape)
    }
  }
}

extension Tensor {
  static let empty = Tensor(shape: [0], storage: Storage(count: 0))

  /// The shape alone.
  fileprivate var withoutValues: Tensor { Tensor(shape: shape, storage: Tensor.empty.storage) }
}
