import Base

/// The right singular vectors of a matrix that belong to its largest singular values, largest first:
/// `[count, columns]`. Their signs are arbitrary.
///
/// By Jacobi rotations of the rows of the Gram matrix until they are orthogonal (Hestenes, 1958): for
/// matrices of some hundred columns; 1024 take a minute.
public func rightSingularVectors(of matrix: Tensor, count: Int) -> Tensor {
  let size = matrix.columns
  var gram = gramMatrix(matrix)
  let tolerance = 1e-13
  for _ in 0..<60 {
    var rotated = false
    var norms = (0..<size).map { dot(gram, $0, $0, size) }
    for p in 0..<max(0, size - 1) {
      for q in (p + 1)..<size {
        let product = dot(gram, p, q, size)
        guard abs(product) > tolerance * (norms[p] * norms[q]).squareRoot(), product != 0 else {
          continue
        }
        rotated = true
        let ratio = (norms[q] - norms[p]) / (2 * product)
        let tangent = (ratio < 0 ? -1 : 1) / (abs(ratio) + (1 + ratio * ratio).squareRoot())
        let cosine = 1 / (1 + tangent * tangent).squareRoot()
        rotate(&gram, p, q, size, cosine: cosine, sine: cosine * tangent)
        norms[p] -= tangent * product
        norms[q] += tangent * product
      }
    }
    if !rotated { break }
  }
  let norms = (0..<size).map { dot(gram, $0, $0, size) }
  let order = (0..<size).sorted { (norms[$0], $1) > (norms[$1], $0) }.prefix(count)
  return Tensor(
    order.flatMap { row -> [Float] in
      let length = norms[row].squareRoot()
      return gram[row * size..<(row + 1) * size].map { Float(length > 0 ? $0 / length : 0) }
    }, shape: [order.count, size])
}

/// AᵀA.
private func gramMatrix(_ matrix: Tensor) -> [Double] {
  let (rows, size) = (matrix.rows, matrix.columns)
  var gram = [Double](repeating: 0, count: size * size)
  matrix.withValues { values in
    for row in 0..<rows {
      let line = values[row * size..<(row + 1) * size].map(Double.init)
      for first in 0..<size {
        let factor = line[first]
        for second in 0..<size { gram[first * size + second] += factor * line[second] }
      }
    }
  }
  return gram
}

private func dot(_ matrix: [Double], _ p: Int, _ q: Int, _ size: Int) -> Double {
  matrix.withUnsafeBufferPointer { values in
    var sums = SIMD8<Double>.zero
    var index = 0
    while index + 8 <= size {
      var (a, b) = (SIMD8<Double>.zero, SIMD8<Double>.zero)
      for lane in 0..<8 {
        a[lane] = values[p * size + index + lane]
        b[lane] = values[q * size + index + lane]
      }
      sums += a * b
      index += 8
    }
    var sum = sums.sum()
    while index < size {
      sum += values[p * size + index] * values[q * size + index]
      index += 1
    }
    return sum
  }
}

private func rotate(
  _ matrix: inout [Double], _ p: Int, _ q: Int, _ size: Int, cosine: Double, sine: Double
) {
  matrix.withUnsafeMutableBufferPointer { values in
    for index in 0..<size {
      let (a, b) = (values[p * size + index], values[q * size + index])
      values[p * size + index] = cosine * a - sine * b
      values[q * size + index] = sine * a + cosine * b
    }
  }
}
