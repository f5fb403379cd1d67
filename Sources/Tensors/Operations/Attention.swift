import Base
import CKernels
import Glibc

/// The sizes of an attention layer.
public struct AttentionShape: Sendable, Hashable {
  /// Query heads.
  public var heads: Int
  /// Key and value heads; divides `heads` (grouped-query attention).
  public var keyValueHeads: Int
  /// Channels of a head.
  public var headSize: Int
  /// How many keys a query sees, itself included; 0 for all before it.
  public var context: Int

  /// The sizes of an attention layer.
  public init(heads: Int, keyValueHeads: Int, headSize: Int, context: Int = 0) {
    self.heads = heads
    self.keyValueHeads = keyValueHeads
    self.headSize = headSize
    self.context = context
  }

  /// Width of all queries.
  public var queryWidth: Int { heads * headSize }
  /// Width of all keys, and of all values.
  public var keyWidth: Int { keyValueHeads * headSize }
  /// Width of a fused projection: queries, keys, values.
  public var fusedWidth: Int { queryWidth + 2 * keyWidth }
  var scale: Float { 1 / Float(headSize).squareRoot() }
}

/// The turns of a rotary position embedding (Su et al., 2021) for some consecutive positions.
/// Pairs are interleaved: channels 2i and 2i + 1 turn by position · period^(-2i / head size).
public struct RotaryTable: Sendable {
  /// `[positions, headSize / 2]`
  let cosine: Tensor
  let sine: Tensor

  /// The turns for `count` positions from `first`; all in float32, as the reference computes them.
  public init(first: Int, count: Int, headSize: Int, maxPeriod: Float) {
    let half = headSize / 2
    let factor = Float(-log(Double(maxPeriod)) * 2 / Double(headSize))
    let frequencies = (0..<half).map { expf(Float($0) * factor) }
    func table(_ function: (Float) -> Float) -> Tensor {
      Tensor(shape: [count, half]) { target in
        for position in 0..<count {
          for index in 0..<half {
            target[position * half + index] = function(
              Float(first + position) * frequencies[index])
          }
        }
      }
    }
    cosine = table(cosf)
    sine = table(sinf)
  }
}

/// Causal self-attention over whole sequences, from the fused projection
/// `[batch * positions, queries | keys | values]` to `[batch * positions, queryWidth]`.
struct CausalAttention: Operation {
  let shape: AttentionShape
  let positions: Int
  let rotation: RotaryTable
  /// What the forward pass leaves for the reverse one.
  private let saved = Saved()

  private final class Saved: @unchecked Sendable {
    var rotated: Tensor?
    var logSums: Tensor?
  }

  init(shape: AttentionShape, positions: Int, rotation: RotaryTable) {
    self.shape = shape
    self.positions = positions
    self.rotation = rotation
  }

  func value(_ inputs: [Tensor]) -> Tensor {
    let fused = inputs[0]
    let batch = fused.rows / positions
    let width = shape.fusedWidth
    let rotated = fused.copied()
    let base = SharedPointer(rotated.storage.floats + rotated.offset)
    ThreadBudget.forEach(batch) { row in
      // Keys stand right behind the queries, so both turn in one call.
      ck_rotate(
        base + row * positions * width, width, positions, shape.heads + shape.keyValueHeads,
        shape.headSize, rotation.cosine.pointer, rotation.sine.pointer, 1)
    }
    let logSums = Tensor.zeros([batch * shape.heads, positions])
    let sums = SharedPointer(logSums.storage.floats)
    let output = Tensor(shape: [fused.rows, shape.queryWidth]) { target in
      let target = SharedPointer(target)
      ThreadBudget.forEach(batch * shape.heads) { task in
        let (row, head) = task.quotientAndRemainder(dividingBy: shape.heads)
        let start = base + row * positions * width
        let keys = start + shape.queryWidth + shape.keyValueHead(head) * shape.headSize
        withUnsafeTemporaryAllocation(
          of: Float.self, capacity: ck_attention_room(positions, positions, shape.headSize)
        ) {
          scores in
          ck_attention(
            start + head * shape.headSize, width, keys, keys + shape.keyWidth, width,
            target + (row * positions * shape.queryWidth + head * shape.headSize),
            shape.queryWidth, positions, 0, 0, shape.headSize, shape.scale, scores.baseAddress,
            sums + task * positions)
        }
      }
    }
    saved.rotated = rotated
    saved.logSums = logSums
    return output
  }

  /// What it reads is saved, turned.
  func readsInputs(_ wanted: [Bool]) -> [Bool] { [false] }

  var readsOutput: Bool { true }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    guard let rotated = saved.rotated, let logSums = saved.logSums else {
      preconditionFailure("the reverse pass follows the forward pass")
    }
    let width = shape.fusedWidth
    let batch = rotated.rows / positions
    let group = shape.heads / shape.keyValueHeads
    let result = Tensor.zeros(rotated.shape)
    let target = SharedPointer(result.storage.floats)
    // One task owns a key head, so that its gradient is summed in a fixed order.
    ThreadBudget.forEach(batch * shape.keyValueHeads) { task in
      let (row, keyHead) = task.quotientAndRemainder(dividingBy: shape.keyValueHeads)
      let start = row * positions * width
      let keys = start + shape.queryWidth + keyHead * shape.headSize
      for head in keyHead * group..<(keyHead + 1) * group {
        let queries = start + head * shape.headSize
        let out = row * positions * shape.queryWidth + head * shape.headSize
        withUnsafeTemporaryAllocation(
          of: Float.self, capacity: ck_attention_gradient_room(positions, shape.headSize)
        ) { room in
          ck_attention_gradient(
            rotated.pointer + queries, width, rotated.pointer + keys,
            rotated.pointer + keys + shape.keyWidth, width, output.pointer + out,
            gradient.pointer + out, shape.queryWidth,
            logSums.pointer + (row * shape.heads + head) * positions, target + queries, width,
            target + keys, target + (keys + shape.keyWidth), width, positions, shape.headSize,
            shape.scale, room.baseAddress)
        }
      }
    }
    ThreadBudget.forEach(batch) { row in
      ck_rotate(
        target + row * positions * width, width, positions, shape.heads + shape.keyValueHeads,
        shape.headSize, rotation.cosine.pointer, rotation.sine.pointer, -1)
    }
    return [result]
  }
}

extension AttentionShape {
  /// The key head that a query head reads.
  func keyValueHead(_ head: Int) -> Int { head / (heads / keyValueHeads) }
}

extension Tensor {
  /// Causal self-attention with rotary positions from 0, over sequences of equal length.
  ///
  /// - Parameters:
  ///   - positions: the length of each sequence; `self` is `[batch * positions, fusedWidth]`.
  ///   - rotation: the turns of positions 0 ..< positions.
  /// - Returns: `[batch * positions, queryWidth]`.
  public func causalAttention(
    _ shape: AttentionShape, positions: Int, rotation: RotaryTable
  ) -> Tensor {
    precondition(columns == shape.fusedWidth && rows.isMultiple(of: positions))
    precondition(shape.context == 0, "training attends to all earlier positions")
    return apply(
      CausalAttention(shape: shape, positions: positions, rotation: rotation), [self])
  }
}
