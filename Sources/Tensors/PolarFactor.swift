extension Tensor {
  /// The polar factor of a matrix, nearly: the matrix with the same singular vectors whose singular
  /// values are all about 1. By Polar Express (Amsel et al., 2025, arXiv 2505.16932), a composition of
  /// polynomials of degree five, each the best for what the one before leaves; six steps come within
  /// one percent. Products are made as ``ProductPrecision`` says. Constants only.
  public func polarFactor(steps: Int) -> Tensor {
    let norm = squaredNorm.squareRoot()
    var x = detached() * Float(1 / (norm * 1.01 + 1e-7))
    let isTall = rows > columns
    for step in 0..<steps {
      let (a, b, c) = polarExpress[min(step, polarExpress.count - 1)]
      // x is multiplied on its smaller side.
      let gram =
        isTall
        ? Tensor(shape: [columns, columns]) { Products.weightGradient(x, x, $0) }
        : Tensor(shape: [rows, rows]) { Products.product(x, x, transposed: true, $0) }
      let squared = Tensor(shape: gram.shape) {
        Products.product(gram, gram, transposed: true, $0)
      }
      let factor = gram * Float(b) + squared * Float(c)
      let moved = Tensor(shape: shape) { target in
        if isTall {
          Products.product(x, factor, transposed: true, target)
        } else {
          Products.product(factor, x, transposed: false, target)
        }
      }
      x = x * Float(a) + moved
    }
    return x
  }
}

/// The coefficients of Polar Express for singular values from 0.001, with a safety factor of 1.01 in
/// all steps but the last, which repeats.
private let polarExpress: [(Double, Double, Double)] = {
  let published: [(Double, Double, Double)] = [
    (8.287212018145630, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.947849916737911, 0.544843108292660),
    (3.948690853482295, -2.908902115962949, 0.551819139437014),
    (3.318419657370602, -2.488488024314874, 0.510048940123720),
    (2.300652019954817, -1.668903984574749, 0.418807311952567),
    (1.891301407787398, -1.267995827194587, 0.376804089485248),
    (1.875001480853448, -1.250001645399949, 0.375000164547425),
  ]
  let cubed = 1.01 * 1.01 * 1.01
  return published.map { ($0.0 / 1.01, $0.1 / cubed, $0.2 / (cubed * 1.01 * 1.01)) }
    + [(1.875, -1.25, 0.375)]
}()
