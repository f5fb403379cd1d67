import Base
import CKernels
internal import COpenBLAS

/// How a layer is used: decides the kernel of its products, whatever the number of rows.
public enum Phase: Sendable {
  /// One position, or one frame of a codec: weights are read once, from memory.
  case step
  /// Many positions at once.
  case prefix
}

/// The one entry to matrix products.
///
/// OpenBLAS runs on one thread and gets tiles whose number of rows is a multiple of 48, the last one
/// padded: then (measured, `ProductsTests`) a row's result does not depend on how many rows there
/// are, only on its place modulo 48. Our threads take tiles; the summed dimension is never split.
enum Products {
  static let rowTile = 192
  static let rowGrain = 48
  static let columnTile = 512

  private static let isReady: Bool = {
    openblas_set_num_threads(1)
    return true
  }()

  private static func multiply(
    _ m: Int, _ n: Int, _ k: Int, _ a: UnsafePointer<Float>, _ lda: Int, transposeA: Bool,
    _ b: UnsafePointer<Float>, _ ldb: Int, transposeB: Bool, _ c: UnsafeMutablePointer<Float>,
    _ ldc: Int
  ) {
    cblas_sgemm(
      CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans,
      transposeB ? CblasTrans : CblasNoTrans, Int32(m), Int32(n), Int32(k), 1, a, Int32(lda), b,
      Int32(ldb), 0, c, Int32(ldc))
  }

  /// y[m][n] = x[m][k] · b, b being w[n][k] transposed or w[k][n]; rows of x are `stride` apart.
  static func rows(
    _ x: UnsafePointer<Float>, stride: Int, _ w: UnsafePointer<Float>, transposed: Bool,
    _ y: UnsafeMutablePointer<Float>, m: Int, n: Int, k: Int
  ) {
    precondition(isReady)
    guard m > 0, n > 0, k > 0 else { return }
    let rowTiles = (m + rowTile - 1) / rowTile
    let columnTiles = (n + columnTile - 1) / columnTile
    let ldb = transposed ? k : n
    let x = SharedPointer(UnsafeMutablePointer(mutating: x))
    let w = SharedPointer(UnsafeMutablePointer(mutating: w))
    let y = SharedPointer(y)
    ThreadBudget.forEach(rowTiles * columnTiles) { tile in
      let row = tile / columnTiles * rowTile
      let column = tile % columnTiles * columnTile
      let count = min(rowTile, m - row)
      let width = min(columnTile, n - column)
      let weights = w + (transposed ? column * k : column)
      let padded = (count + rowGrain - 1) / rowGrain * rowGrain
      // The library refuses rows that overlap, as a convolution's do: those are copied too.
      if padded == count, stride >= k {
        multiply(
          count, width, k, x + row * stride, stride, transposeA: false, weights, ldb,
          transposeB: transposed, y + (row * n + column), n)
        return
      }
      withUnsafeTemporaryAllocation(of: Float.self, capacity: padded * (k + width)) { room in
        guard let input = room.baseAddress else { return }
        let output = input + padded * k
        for r in 0..<count {
          (input + r * k).update(from: x + (row + r) * stride, count: k)
        }
        (input + count * k).update(repeating: 0, count: (padded - count) * k)
        multiply(
          padded, width, k, input, k, transposeA: false, weights, ldb, transposeB: transposed,
          output, width)
        for r in 0..<count {
          (y + ((row + r) * n + column)).update(from: output + r * width, count: width)
        }
      }
    }
  }

  /// w[n][k] = y[m][n]ᵀ · x[m][k]: the gradient of weights, summed over all rows in one product.
  static func weightGradient(
    _ y: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ w: UnsafeMutablePointer<Float>,
    m: Int, n: Int, k: Int
  ) {
    precondition(isReady)
    guard m > 0 else {
      w.update(repeating: 0, count: n * k)
      return
    }
    let rowTiles = (n + rowTile - 1) / rowTile
    let columnTiles = (k + columnTile - 1) / columnTile
    let x = SharedPointer(UnsafeMutablePointer(mutating: x))
    let y = SharedPointer(UnsafeMutablePointer(mutating: y))
    let w = SharedPointer(w)
    ThreadBudget.forEach(rowTiles * columnTiles) { tile in
      let row = tile / columnTiles * rowTile
      let column = tile % columnTiles * columnTile
      multiply(
        min(rowTile, n - row), min(columnTile, k - column), m, y + row, n, transposeA: true,
        x + column, k, transposeB: false, w + (row * k + column), k)
    }
  }

  /// y[m][n] = x[m][k] · w[n][k]ᵀ + bias for few rows: our own kernel, which reads weights at the
  /// speed of memory.
  static func fewRows(
    _ x: UnsafePointer<Float>, stride: Int, _ w: UnsafePointer<Float>,
    bias: UnsafePointer<Float>?, _ y: UnsafeMutablePointer<Float>, m: Int, n: Int, k: Int
  ) {
    let x = SharedPointer(UnsafeMutablePointer(mutating: x))
    let w = SharedPointer(UnsafeMutablePointer(mutating: w))
    let bias = bias.map { SharedPointer(UnsafeMutablePointer(mutating: $0)) }
    let y = SharedPointer(y)
    // A piece is worth waking a thread for: half a million products at least.
    let grain = max(64, ((1 << 19) / max(1, m * k) + 63) / 64 * 64)
    parallelRanges(n, grain: grain) { range in
      ck_few_row_product(
        x.base, stride, w + range.lowerBound * k, bias.map { $0 + range.lowerBound },
        y + range.lowerBound, n, m, range.count, k)
    }
  }
}
