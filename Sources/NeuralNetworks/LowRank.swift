public import Tensors

/// A low-rank update of a matrix, B·A (LoRA; Hu et al., 2021), on all of its outputs or some.
///
/// The tensors of the update of `NAME` are called `NAME.lora_A` and `NAME.lora_B`; where a matrix is
/// several side by side, `NAME.PART.lora_A` and so on, the parts being `q`, `k` and `v`.
public struct LowRankUpdate: Sendable {
  /// `[rank, inputs]`
  public let a: Tensor
  /// `[outputs, rank]`
  public let b: Tensor

  /// The parts that a fused matrix has, in the order of its outputs.
  public static let parts = ["q", "k", "v"]

  /// Whether a name is one of an update's.
  public static func isPart(_ name: String) -> Bool {
    name.hasSuffix(".lora_A") || name.hasSuffix(".lora_B")
  }

  /// The prefixes that the updates of a matrix can have.
  static func prefixes(_ name: String) -> [String] {
    [name] + parts.map { "\(name).\($0)" }
  }

  /// The updates of a matrix among tensors by name, in the order of its outputs.
  ///
  /// - Parameter tensor: nil where there is none of that name.
  public static func updates(
    of name: String, in tensor: (String) throws -> Tensor?
  ) rethrows -> [LowRankUpdate] {
    try prefixes(name).compactMap { prefix in
      guard let a = try tensor(prefix + ".lora_A"), let b = try tensor(prefix + ".lora_B") else {
        return nil
      }
      return LowRankUpdate(a: a, b: b)
    }
  }
}

extension [LowRankUpdate] {
  /// Whether these fit a matrix.
  public func fit(outputs: Int, inputs: Int) -> Bool {
    reduce(0) { $0 + ($1.b.shape.first ?? 0) } == outputs
      && allSatisfy {
        $0.a.shape.count == 2 && $0.b.shape.count == 2 && $0.a.columns == inputs
          && $0.b.columns == $0.a.rows
      }
  }

  /// x Aᵀ Bᵀ: `[..., inputs]` to `[..., outputs]`.
  func callAsFunction(_ x: Tensor) -> Tensor {
    let parts = map { x.product(transposed: $0.a).product(transposed: $0.b) }
    return parts.count == 1 ? parts[0] : concatenateColumns(parts)
  }

  /// The matrix with the updates in it, `weight + scale · B·A`; not recorded.
  public func merged(into weight: Tensor, scale: Float) -> Tensor {
    let update = concatenateRows(
      map { update in
        update.b.detached().product(transposed: update.a.detached().transposed())
      })
    return weight.detached() + update.reshaped(weight.shape) * scale
  }
}
