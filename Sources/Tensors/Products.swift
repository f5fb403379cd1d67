import Base
import CKernels

/// How products of tensors are made, in training for instance.
public enum ProductPrecision {
  /// Products of tensors within `body` round both factors to bfloat16; sums are made in float32.
  public static func inBFloat16<Result>(
    _ isReduced: Bool = true, _ body: () throws -> Result
  ) rethrows -> Result {
    try Products.$format.withValue(isReduced ? .bfloat16 : .float32) { try body() }
  }
}

/// The one entry to matrix products.
///
/// All go through one family of kernels over packed weights. Every element of a result is one chain
/// of multiply-adds over the summed dimension in order: it depends on its own row and column alone,
/// not on how many rows there are, how work is cut, or how many threads there are.
enum Products {
  /// How the second factor of products of tensors is held.
  @TaskLocal static var format = WeightFormat.float32
  /// Second factors that are packed once for many products; nil: each time.
  @TaskLocal private static var packs: PackedFactors?

  /// What products go by, to be taken to other threads.
  struct Context: Sendable {
    private let format = Products.format
    private let packs: PackedFactors

    /// - Parameter factors: tensors that are multiplied with several times.
    init(remembering factors: [Tensor]) { packs = PackedFactors(of: factors) }

    func apply<Result>(_ body: () throws -> Result) rethrows -> Result {
      try Products.$format.withValue(format) {
        try Products.$packs.withValue(packs) { try body() }
      }
    }
  }

  /// Multiply-adds that are worth waking a thread for.
  private static let grain = 1 << 20
  /// Tiles of rows that a task works on: what it packs of them stays in the second-level cache.
  private static let tilesPerBlock = 12

  /// y[m][outputs] = x[m][inputs] · weightsᵀ + bias.
  ///
  /// - Parameters:
  ///   - places: where the rows of x are.
  ///   - instructions: the most that is used of what the machine has.
  static func product(
    _ x: UnsafePointer<Float>, _ places: RowPlaces, rows m: Int, _ weights: PackedMatrix,
    bias: UnsafePointer<Float>? = nil, _ y: UnsafeMutablePointer<Float>,
    instructions: Int = CK_ALL_INSTRUCTIONS
  ) {
    let (n, k) = (weights.rows, weights.columns)
    guard m > 0, n > 0 else { return }
    let tile = Int(ck_tile_rows())
    let panels = ck_panel_count(n)
    let threads = ThreadBudget.available
    // With few rows it is reading the weights that takes the time.
    let wanted = min(3 * threads, max(m, 16) * n * k / grain)
    var blocks = (m + tilesPerBlock * tile - 1) / (tilesPerBlock * tile)
    // Where there are few outputs, rows are shared instead.
    blocks = max(blocks, min((m + tile - 1) / tile, threads == 1 ? 1 : wanted / panels))
    let rowsPerBlock = ((m + blocks - 1) / blocks + tile - 1) / tile * tile
    let groups = threads == 1 ? 1 : max(1, min(panels, wanted / blocks))
    let x = SharedPointer(UnsafeMutablePointer(mutating: x))
    let y = SharedPointer(y)
    let bias = bias.map { SharedPointer(UnsafeMutablePointer(mutating: $0)) }
    places.withShared { places in
      ThreadBudget.forEach(blocks * groups) { task in
        let (block, group) = task.quotientAndRemainder(dividingBy: groups)
        let row = block * rowsPerBlock
        let count = min(rowsPerBlock, m - row)
        let first = panels * group / groups
        guard count > 0 else { return }
        let capacity = ck_product_room(weights.format.code, count, k)
        withUnsafeTemporaryAllocation(of: Float.self, capacity: capacity) { room in
          ck_product(
            Int32(instructions), x.base, places.base, row, count, weights.format.code,
            weights.panels.floats, weights.scales?.floats, bias?.base, y + row * n, n, first,
            panels * (group + 1) / groups - first, n, k, room.baseAddress)
        }
      }
    }
  }

  /// The same of rows in even distances.
  ///
  /// - Parameters:
  ///   - rowStride: from one row of x to the next; rows may overlap, as a convolution's do.
  ///   - inputStride: from one input to the next.
  static func product(
    _ x: UnsafePointer<Float>, rowStride: Int, inputStride: Int = 1, rows m: Int,
    _ weights: PackedMatrix, bias: UnsafePointer<Float>? = nil, _ y: UnsafeMutablePointer<Float>,
    instructions: Int = CK_ALL_INSTRUCTIONS
  ) {
    product(
      x, RowPlaces(width: max(1, m), inner: rowStride, inputStride: inputStride), rows: m, weights,
      bias: bias, y, instructions: instructions)
  }

  /// y[m][n] = x[m][k] · w, where w is `[n, k]` transposed or `[k, n]`.
  static func product(
    _ x: Tensor, _ w: Tensor, transposed: Bool, _ y: UnsafeMutablePointer<Float>
  ) {
    let (n, k) = transposed ? (w.rows, w.columns) : (w.columns, w.rows)
    func pack() -> PackedMatrix {
      PackedMatrix(
        w.pointer, outputStride: transposed ? k : 1, inputStride: transposed ? 1 : n, rows: n,
        columns: k, format: format)
    }
    let packed = packs?.factor(w, transposed: transposed, pack) ?? pack()
    product(x.pointer, rowStride: k, rows: x.rows, packed, y)
  }

  /// w[n][k] = y[m][n]ᵀ · x[m][k]: the gradient of weights, summed over all rows in order.
  static func weightGradient(_ y: Tensor, _ x: Tensor, _ w: UnsafeMutablePointer<Float>) {
    let packed = PackedMatrix(
      x.pointer, outputStride: 1, inputStride: x.columns, rows: x.columns, columns: x.rows,
      format: format)
    product(y.pointer, rowStride: 1, inputStride: y.columns, rows: y.columns, packed, w)
  }
}

/// Factors of products that are packed when they are first multiplied with.
final class PackedFactors: Sendable {
  private struct Key: Hashable {
    let storage: ObjectIdentifier
    let offset: Int
    let shape: [Int]
    let transposed: Bool
  }

  /// The memory of the factors, which must stay theirs.
  private let factors: [ObjectIdentifier: Storage]
  private let packed = Locked<[Key: PackedMatrix]>([:])

  init(of tensors: [Tensor]) {
    factors = Dictionary(
      tensors.map { (ObjectIdentifier($0.storage), $0.storage) },
      uniquingKeysWith: { first, _ in first })
  }

  /// A factor, packed before or now; nil for a tensor that is none of these.
  func factor(_ tensor: Tensor, transposed: Bool, _ pack: () -> PackedMatrix) -> PackedMatrix? {
    let storage = ObjectIdentifier(tensor.storage)
    guard factors[storage] != nil else { return nil }
    let key = Key(
      storage: storage, offset: tensor.offset, shape: tensor.shape, transposed: transposed)
    if let matrix = packed.withLock({ $0[key] }) { return matrix }
    let matrix = pack()
    packed.withLock { $0[key] = matrix }
    return matrix
  }
}
