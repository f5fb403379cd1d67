import Base
import CKernels
import Glibc
import Testing

@testable import Tensors

@Suite(.serialized) struct ProductsTests {
  private func random(_ shape: [Int], _ name: String) -> Tensor {
    var numbers = RandomNumbers(seed: 4, name: name)
    return Tensor(numbers.normal(shape.reduce(1, *)), shape: shape)
  }

  private func reference(_ x: Tensor, _ w: Tensor) -> [Float] {
    let (xs, ws, k) = (x.values, w.values, x.columns)
    return (0..<x.rows).flatMap { m in
      (0..<w.rows).map { n in
        Float((0..<k).reduce(0.0) { $0 + Double(xs[m * k + $1]) * Double(ws[n * k + $1]) })
      }
    }
  }

  @Test(arguments: [1, 2, 3, 4, 7, 16, 47, 48, 49, 193], [(1, 1), (3, 7), (65, 64), (520, 129)])
  func productsAreRight(_ rows: Int, _ sizes: (Int, Int)) {
    let (n, k) = sizes
    let x = random([rows, k], "x")
    let w = random([n, k], "w")
    let expected = reference(x, w)
    for y in [x.product(transposed: w), x.stepProduct(transposed: w, bias: nil)] {
      let worst = zip(y.values, expected).map { abs($0 - $1) }.max() ?? 0
      #expect(worst < 1e-4)
    }
  }

  /// A row's result does not depend on the rows beside it, nor on the number of threads.
  @Test(arguments: [(512, 512), (1536, 512), (64, 192), (1024, 1024)])
  func rowsAreIndependent(_ sizes: (Int, Int)) {
    let (n, k) = sizes
    let x = random([500, k], "rows")
    let w = random([n, k], "weights")
    let whole = x.product(transposed: w).values
    let few = x.stepProduct(transposed: w, bias: nil).values
    let limit = ThreadBudget.limit
    defer { ThreadBudget.limit = limit }
    for threads in [1, 3] {
      ThreadBudget.limit = threads
      for range in [0..<1, 0..<5, 0..<48, 48..<53, 96..<295, 192..<500, 3..<20] {
        let part = x.rows(range)
        let place = range.lowerBound * n..<range.upperBound * n
        // The library's rows come in groups: a row keeps its bits where it keeps its place in one.
        if range.lowerBound.isMultiple(of: Products.rowGrain) {
          let isSame = part.product(transposed: w).values == Array(whole[place])
          #expect(isSame, "rows \(range)")
        }
        let isSame = part.stepProduct(transposed: w, bias: nil).values == Array(few[place])
        #expect(isSame, "rows \(range)")
      }
    }
  }

  @Test func elementFunctionsAreAccurate() {
    let x = (-4000...4000).map { Float($0) / 100 }
    let t = Tensor(x)
    func check(_ y: Tensor, _ f: (Double) -> Double, _ tolerance: Double) {
      let worst =
        zip(x, y.values).map { value, result in
          let expected = f(Double(value))
          return abs(Double(result) - expected) / max(1, abs(expected))
        }.max() ?? 0
      #expect(worst <= tolerance)
    }
    func e(_ x: Double) -> Double { 1 / (1 + (-x).exponential) }
    check(t.exp(), { $0.exponential }, 1e-6)
    check(t.sigmoid(), e, 3e-7)
    check(t.silu(), { $0 * e($0) }, 1e-6)
    check(t.elu(), { $0 > 0 ? $0 : $0.exponential - 1 }, 3e-7)
    check(t.gelu(), { $0 * e(2 * 0.7978845608028654 * ($0 + 0.044715 * $0 * $0 * $0)) }, 1e-6)
    check(t.softplus(), { max($0, 0) + (1 + (-abs($0)).exponential).logarithm }, 3e-7)
  }

  @Test func cachedAttentionEqualsWholeSequences() {
    for context in [0, 5] {
      let shape = AttentionShape(heads: 4, keyValueHeads: 2, headSize: 32, context: context)
      let fused = random([300, shape.fusedWidth], "fused")
      func rotation(_ range: Range<Int>) -> RotaryTable {
        RotaryTable(
          first: range.lowerBound, count: range.count, headSize: 32, maxPeriod: 10000)
      }
      var cache = KeyValueCache(shape: shape)
      let whole = cache.attend(fused, rotation: rotation(0..<300)).values
      var pieces = KeyValueCache(shape: shape)
      var streamed: [Float] = []
      for range in [0..<1, 1..<2, 2..<70, 70..<71, 71..<299, 299..<300] {
        streamed += pieces.attend(fused.rows(range), rotation: rotation(range)).values
      }
      let isSame = streamed == whole
      #expect(isSame)
      if context == 0 {
        let recorded = fused.causalAttention(
          shape, positions: 300, rotation: rotation(0..<300))
        let isSame = recorded.values == whole
        #expect(isSame)
      }
    }
  }
}

extension Double {
  fileprivate var exponential: Double { _exp(self) }
  fileprivate var logarithm: Double { _log(self) }
}

private func _exp(_ x: Double) -> Double { exp(x) }
private func _log(_ x: Double) -> Double { log(x) }
