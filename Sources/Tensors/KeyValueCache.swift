import Base
import CKernels

/// Keys (rotated) and values of the positions so far, for generation and streaming: a value, cheap
/// to copy until it is extended.
public struct KeyValueCache: Sendable {
  /// The sizes of the attention layer.
  public let shape: AttentionShape
  /// How many positions were seen.
  public private(set) var length = 0
  /// The first position still held: a limited context lets go of old ones.
  private var first = 0
  /// `[capacity, keys | values]`
  private var rows: Tensor

  /// An empty cache.
  public init(shape: AttentionShape) {
    self.shape = shape
    rows = Tensor(shape: [0, 2 * shape.keyWidth], storage: Storage(count: 0))
  }

  /// A cache of known content, as an exported voice holds it.
  ///
  /// - Parameters:
  ///   - keys: `[positions, keyWidth]`, rotated.
  ///   - values: `[positions, keyWidth]`.
  public init(shape: AttentionShape, keys: Tensor, values: Tensor) {
    self.shape = shape
    rows = concatenateColumns([keys, values])
    length = keys.rows
  }

  /// The keys (rotated) and the values still held, each `[positions, keyWidth]`.
  public var contents: (keys: Tensor, values: Tensor) {
    let held = rows.rows(0..<length - first)
    return (
      held.columns(0..<shape.keyWidth), held.columns(shape.keyWidth..<2 * shape.keyWidth)
    )
  }

  /// Makes room for `count` more positions, letting go of what the context no longer reaches.
  private mutating func reserve(_ count: Int) {
    let keep = shape.context > 0 ? min(length - first, shape.context - 1) : length - first
    let needed = length - first + count
    if needed <= rows.rows { return }
    let width = 2 * shape.keyWidth
    let skip = length - first - keep
    let capacity = max(keep + count, shape.context > 0 ? 2 * shape.context : 2 * keep, 64)
    let old = rows
    rows = Tensor(shape: [capacity, width]) { target in
      target.update(from: old.pointer + skip * width, count: keep * width)
    }
    first += skip
  }

  /// Extends the cache by the positions of a fused projection.
  ///
  /// - Parameters:
  ///   - fused: `[positions, queries | keys | values]`, before rotation.
  ///   - rotation: the turns of these positions, which start at ``length``.
  /// - Returns: the projection after rotation.
  @discardableResult
  public mutating func append(_ fused: Tensor, rotation: RotaryTable) -> Tensor {
    let count = fused.rows
    let (queryWidth, keyWidth) = (shape.queryWidth, shape.keyWidth)
    let turned = fused.copied()
    ck_rotate(
      turned.storage.floats, shape.fusedWidth, count, shape.heads + shape.keyValueHeads,
      shape.headSize, rotation.cosine.pointer, rotation.sine.pointer, 1)
    reserve(count)
    let start = length - first
    rows.mutate { target in
      guard let base = target.baseAddress else { return }
      for row in 0..<count {
        (base + (start + row) * 2 * keyWidth).update(
          from: turned.pointer + row * shape.fusedWidth + queryWidth, count: 2 * keyWidth)
      }
    }
    length += count
    return turned
  }

  /// Extends the cache by the positions of a fused projection and attends from them.
  ///
  /// - Parameters: as for ``append(_:rotation:)``.
  /// - Returns: `[positions, queryWidth]`.
  public mutating func attend(_ fused: Tensor, rotation: RotaryTable) -> Tensor {
    Self.attend(append(fused, rotation: rotation), caches: [self])
  }

  /// Attends from the last positions of several sequences, of any lengths but one shape.
  ///
  /// - Parameters:
  ///   - turned: what ``append(_:rotation:)`` gave, equally many positions of each sequence one after
  ///     another: `[sequences * positions, queries | keys | values]`.
  ///   - caches: of each sequence, these positions included.
  /// - Returns: `[sequences * positions, queryWidth]`.
  public static func attend(_ turned: Tensor, caches: [KeyValueCache]) -> Tensor {
    let layout = caches[0].shape
    let count = turned.rows / caches.count
    // Enough queries a task that starting it is cheap beside it.
    let block = max(1, min(count, 64))
    let blocks = (count + block - 1) / block
    let positions = caches.reduce(0) { $0 + $1.length - $1.first }
    return Tensor(shape: [turned.rows, layout.queryWidth]) { target in
      let target = SharedPointer(target)
      let work: @Sendable (Int) -> Void = { task in
        let (sequence, part) = task.quotientAndRemainder(dividingBy: layout.heads * blocks)
        let (head, index) = part.quotientAndRemainder(dividingBy: blocks)
        let cache = caches[sequence]
        let query = index * block
        let queries = min(block, count - query)
        let offset = cache.length - cache.first - count + query
        let row = sequence * count + query
        let keys = cache.rows.pointer + layout.keyValueHead(head) * layout.headSize
        withUnsafeTemporaryAllocation(
          of: Float.self, capacity: ck_attention_room(offset + queries, queries, layout.headSize)
        ) { scores in
          ck_attention(
            turned.pointer + row * layout.fusedWidth + head * layout.headSize, layout.fusedWidth,
            keys, keys + layout.keyWidth, 2 * layout.keyWidth,
            target + (row * layout.queryWidth + head * layout.headSize), layout.queryWidth,
            queries, offset,
            layout.context, layout.headSize, layout.scale, scores.baseAddress, nil)
        }
      }
      let tasks = caches.count * layout.heads * blocks
      if count * positions * layout.queryWidth < 1 << 17 {
        for task in 0..<tasks { work(task) }
      } else {
        ThreadBudget.forEach(tasks, work)
      }
    }
  }
}
