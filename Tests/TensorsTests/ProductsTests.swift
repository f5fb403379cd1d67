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

  /// On every instruction set that the machine has, and on none.
  @Test(arguments: [CK_PLAIN, CK_AVX2, CK_AVX512, CK_ALL_INSTRUCTIONS])
  func productsAreRight(_ instructions: Int) {
    for (n, k) in [(1, 1), (3, 7), (32, 64), (65, 64), (520, 129), (40, 1000)] {
      let w = random([n, k], "w")
      let packed = PackedMatrix(w)
      for rows in [1, 2, 3, 4, 5, 6, 7, 13, 14, 15, 16, 47, 193] {
        let x = random([rows, k], "x")
        let y = Tensor(shape: [rows, n]) {
          Products.product(
            x.pointer, rowStride: k, rows: rows, packed, $0, instructions: instructions)
        }
        let worst = zip(y.values, reference(x, w)).map { abs($0 - $1) }.max() ?? 0
        #expect(worst < 1e-5 * max(10, Float(k).squareRoot()), "\(rows) x \(n) x \(k)")
      }
    }
  }

  @Test func everyWayOfMultiplyingIsTheSame() {
    let (x, w) = (random([37, 129], "x"), random([65, 129], "w"))
    let y = x.product(PackedMatrix(w)).values
    #expect(x.product(transposed: w).values == y)
    let columns = w.copied().transposedForTest()
    let other = Tensor(shape: [37, 65]) { Products.product(x, columns, transposed: false, $0) }
    #expect(other.values == y)
    let gradient = Tensor(shape: [37, 65]) {
      Products.weightGradient(x.transposedForTest(), columns, $0)
    }
    #expect(gradient.values == y)
  }

  private func rounded(_ value: Float) -> Float {
    let bits = value.bitPattern
    return Float(bitPattern: (bits &+ 0x7fff &+ (bits >> 16 & 1)) & 0xffff_0000)
  }

  /// Which instructions a machine has changes no bit, as long as it has fused multiply-adds.
  @Test(arguments: WeightFormat.allCases, [(70, 301), (33, 1), (130, 64), (32, 700)])
  func machinesAgree(_ format: WeightFormat, _ sizes: (Int, Int)) {
    let (n, k) = sizes
    let packed = PackedMatrix(random([n, k], "w"), format: format)
    for rows in [1, 3, 4, 14, 15, 29, 60, 200] {
      let x = random([rows, k], "x")
      let results = [CK_AVX2, CK_AVX512, CK_ALL_INSTRUCTIONS].map { instructions in
        Tensor(shape: [rows, n]) {
          Products.product(
            x.pointer, rowStride: k, rows: rows, packed, $0, instructions: instructions)
        }.values
      }
      let isSame = results[0] == results[1] && results[1] == results[2]
      #expect(isSame, "\(rows) rows")
    }
  }

  /// Reduced formats hold rounded weights and round what they are multiplied by, to bfloat16 or to
  /// integers of 16 bits; the product of those is as exact as any.
  @Test(arguments: [WeightFormat.bfloat16, .int8], [300, 301])
  func reducedWeightsAreRounded(_ format: WeightFormat, _ k: Int) {
    let n = 70
    let w = random([n, k], "w")
    let weights = Tensor(
      (0..<n).flatMap { row -> [Float] in
        let values = Array(w.values[row * k..<(row + 1) * k])
        let scale = (values.map { abs($0) }.max() ?? 0) / 127
        return values.map { value in
          if format == .int8 { return (value * (1 / scale)).rounded(.toNearestOrEven) * scale }
          return rounded(value)
        }
      }, shape: [n, k])
    let bias = random([n], "bias")
    for rows in [1, 5, 14, 15, 60] {
      let x = random([rows, k], "x")
      let factor = Tensor(
        format == .bfloat16
          ? x.values.map(rounded)
          : (0..<rows).flatMap { row -> [Float] in
            let values = Array(x.values[row * k..<(row + 1) * k])
            let unit = (values.map { abs($0) }.max() ?? 0) / 32767
            return values.map { ($0 * (1 / unit)).rounded(.toNearestOrEven) * unit }
          }, shape: x.shape)
      let expected = zip(reference(factor, weights).indices, reference(factor, weights)).map {
        $1 + bias.values[$0 % n]
      }
      let y = x.product(PackedMatrix(w, format: format), bias: bias)
      let worst = zip(y.values, expected).map { abs($0 - $1) }.max() ?? 0
      #expect(worst < (format == .int8 ? 1e-3 : 2e-4))
    }
  }

  /// Rows of nothing, of almost nothing, and with what is no number.
  @Test func bytesMultiplyAnything() {
    let packed = PackedMatrix(random([40, 37], "w"), format: .int8)
    var values = [Float](repeating: 0, count: 4 * 37)
    for index in 0..<37 {
      values[37 + index] = Float.leastNonzeroMagnitude * Float(index)
      values[2 * 37 + index] = index == 5 ? .nan : 1
      values[3 * 37 + index] = index == 5 ? .infinity : 1
    }
    let y = Tensor(values, shape: [4, 37]).product(packed).values
    #expect(y[..<80].allSatisfy { abs($0) < 1e-30 })
    #expect(y[80...].allSatisfy { $0.isNaN })
  }

  /// A row's result depends neither on the rows beside it nor on the number of threads.
  @Test(arguments: [(512, 512), (1536, 512), (64, 192), (1024, 1024), (70, 900)])
  func rowsAreIndependent(_ sizes: (Int, Int)) {
    let (n, k) = sizes
    let x = random([500, k], "rows")
    let w = random([n, k], "weights")
    let limit = ThreadBudget.limit
    defer { ThreadBudget.limit = limit }
    for format in WeightFormat.allCases {
      let packed = PackedMatrix(w, format: format)
      let whole = x.product(packed).values
      for threads in [1, 3] {
        ThreadBudget.limit = threads
        for range in [0..<1, 0..<5, 0..<48, 48..<53, 96..<295, 192..<500, 3..<20] {
          let place = range.lowerBound * n..<range.upperBound * n
          let isSame = x.rows(range).product(packed).values == Array(whole[place])
          #expect(isSame, "rows \(range)")
        }
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

  @Test(arguments: [0, 3, 5, 50], [32, 36, 72])
  func cachedAttentionEqualsWholeSequences(_ context: Int, _ headSize: Int) {
    let shape = AttentionShape(
      heads: 4, keyValueHeads: 2, headSize: headSize, context: context)
    let fused = random([300, shape.fusedWidth], "fused")
    func rotation(_ range: Range<Int>) -> RotaryTable {
      RotaryTable(
        first: range.lowerBound, count: range.count, headSize: headSize, maxPeriod: 10000)
    }
    var cache = KeyValueCache(shape: shape)
    let whole = cache.attend(fused, rotation: rotation(0..<300)).values
    for ranges in [
      [0..<1, 1..<2, 2..<70, 70..<71, 71..<299, 299..<300], (0..<300).map { $0..<$0 + 1 },
    ] {
      var pieces = KeyValueCache(shape: shape)
      var streamed: [Float] = []
      for range in ranges {
        streamed += pieces.attend(fused.rows(range), rotation: rotation(range)).values
      }
      let isSame = streamed == whole
      #expect(isSame)
    }
    if context == 0 {
      let recorded = fused.causalAttention(
        shape, positions: 300, rotation: rotation(0..<300))
      let isSame = recorded.values == whole
      #expect(isSame)
    }
  }

  @Test func sequencesOfUnequalLengthsAttendTogether() {
    let shape = AttentionShape(heads: 2, keyValueHeads: 1, headSize: 32, context: 0)
    var alone: [Float] = []
    var turned: [Tensor] = []
    var caches: [KeyValueCache] = []
    for length in [1, 40, 7, 300] {
      let fused = random([length, shape.fusedWidth], "fused \(length)")
      func rotation(_ range: Range<Int>) -> RotaryTable {
        RotaryTable(
          first: range.lowerBound, count: range.count, headSize: 32, maxPeriod: 10000)
      }
      var cache = KeyValueCache(shape: shape)
      if length > 1 {
        _ = cache.attend(fused.rows(0..<length - 1), rotation: rotation(0..<length - 1))
      }
      let last = fused.rows(length - 1..<length)
      var other = cache
      alone += other.attend(last, rotation: rotation(length - 1..<length)).values
      turned.append(cache.append(last, rotation: rotation(length - 1..<length)))
      caches.append(cache)
    }
    let together = KeyValueCache.attend(concatenateRows(turned), caches: caches).values
    let isSame = together == alone
    #expect(isSame)
  }
}

extension Tensor {
  fileprivate func transposedForTest() -> Tensor {
    let values = values
    return Tensor(
      (0..<columns).flatMap { column in (0..<rows).map { values[$0 * columns + column] } },
      shape: [columns, rows])
  }
}

extension Double {
  fileprivate var exponential: Double { _exp(self) }
  fileprivate var logarithm: Double { _log(self) }
}

private func _exp(_ x: Double) -> Double { exp(x) }
private func _log(_ x: Double) -> Double { log(x) }
