import Base
import Testing

@testable import Tensors

/// Every differentiable operation, as a function of random inputs, checked in both modes along random
/// directions: the cost does not grow with the size.
struct OperationCase: CustomStringConvertible, Sendable {
  let name: String
  let shapes: [[Int]]
  /// Maps standard normal inputs into the operation's domain.
  var domain: @Sendable (Float) -> Float = { $0 }
  var hasTangent = true
  let compute: @Sendable ([Tensor]) -> Tensor
  var description: String { name }

  static let all: [OperationCase] = [
    OperationCase(name: "add", shapes: [[3, 5], [3, 5]]) { $0[0] + $0[1] },
    OperationCase(name: "add row", shapes: [[3, 5], [5]]) { $0[0] + $0[1] },
    OperationCase(name: "add column", shapes: [[3, 5], [3, 1]]) { $0[0] + $0[1] },
    OperationCase(name: "subtract from row", shapes: [[5], [3, 5]]) { $0[0] - $0[1] },
    OperationCase(name: "subtract column", shapes: [[3, 5], [3, 1]]) { $0[0] - $0[1] },
    OperationCase(name: "add in place", shapes: [[3, 5], [3, 5]]) { $0[0].adding($0[1]) },
    OperationCase(name: "multiply", shapes: [[3, 5], [3, 5]]) { $0[0] * $0[1] },
    OperationCase(name: "multiply row", shapes: [[4, 3, 5], [3, 5]]) { $0[0] * $0[1] },
    OperationCase(name: "multiply column", shapes: [[3, 1], [3, 5]]) { $0[0] * $0[1] },
    OperationCase(name: "multiply scalar", shapes: [[3, 5], [1]]) { $0[0] * $0[1] },
    OperationCase(name: "square", shapes: [[3, 5]]) { $0[0].squared() },
    OperationCase(name: "affine", shapes: [[3, 5]]) { 1.5 - $0[0] * 0.5 },
    OperationCase(name: "silu", shapes: [[7, 9]]) { $0[0].silu() },
    OperationCase(name: "gelu", shapes: [[7, 9]]) { $0[0].gelu() },
    OperationCase(name: "elu", shapes: [[7, 9]], domain: { $0 < 0 ? $0 - 0.1 : $0 + 0.1 }) {
      $0[0].elu()
    },
    OperationCase(name: "sigmoid", shapes: [[7, 9]]) { $0[0].sigmoid() },
    OperationCase(name: "exp", shapes: [[7, 9]]) { $0[0].exp() },
    OperationCase(name: "softplus", shapes: [[7, 9]]) { $0[0].softplus() },
    OperationCase(name: "relu", shapes: [[7, 9]], domain: { $0 < 0 ? $0 - 0.1 : $0 + 0.1 }) {
      $0[0].relu()
    },
    OperationCase(name: "sine", shapes: [[7, 9]]) { $0[0].sine() },
    OperationCase(name: "cosine", shapes: [[7, 9]]) { $0[0].cosine() },
    OperationCase(name: "rsqrt", shapes: [[7, 9]], domain: { 0.5 + $0 * $0 }) { $0[0].rsqrt() },
    OperationCase(name: "sqrt", shapes: [[7, 9]], domain: { 0.5 + $0 * $0 }) {
      $0[0].squareRoot()
    },
    OperationCase(name: "log", shapes: [[7, 9]], domain: { 0.5 + $0 * $0 }) { $0[0].log() },
    OperationCase(name: "row sums", shapes: [[4, 33]]) { $0[0].rowSums() },
    OperationCase(name: "sum", shapes: [[4, 33]]) { $0[0].sum() },
    OperationCase(name: "mean", shapes: [[4, 33]]) { $0[0].mean() },
    OperationCase(name: "product", shapes: [[5, 7], [3, 7]]) { $0[0].product(transposed: $0[1]) },
    OperationCase(name: "columns", shapes: [[4, 6]]) { $0[0].columns(2..<5) },
    OperationCase(name: "split", shapes: [[4, 6]]) {
      let parts = $0[0].splitColumns(3)
      return parts[0] * parts[1] + parts[2]
    },
    OperationCase(name: "concatenate columns", shapes: [[4, 2], [4, 3]]) {
      concatenateColumns($0)
    },
    OperationCase(name: "concatenate rows", shapes: [[2, 3], [4, 3]]) { concatenateRows($0) },
    OperationCase(name: "rows", shapes: [[6, 3]]) { $0[0].rows(1..<4) },
    OperationCase(name: "gather", shapes: [[6, 3]]) { $0[0].gatherRows([5, -1, 0, 5]) },
    OperationCase(name: "layer norm", shapes: [[5, 19]]) {
      $0[0].layerNormalized(epsilon: 1e-5)
    },
    OperationCase(name: "affine layer norm", shapes: [[70, 19], [19], [19]]) {
      $0[0].layerNormalized(weight: $0[1], bias: $0[2], epsilon: 1e-5)
    },
    OperationCase(name: "tanh", shapes: [[7, 9]]) { $0[0].tanh() },
    OperationCase(name: "exact GELU", shapes: [[7, 9]], hasTangent: false) { $0[0].exactGELU() },
    OperationCase(name: "leaky ReLU", shapes: [[7, 9]], domain: { $0 < 0 ? $0 - 0.1 : $0 + 0.1 }) {
      $0[0].leakyReLU()
    },
    OperationCase(name: "absolute", shapes: [[7, 9]], domain: { $0 < 0 ? $0 - 0.1 : $0 + 0.1 }) {
      $0[0].absolute()
    },
    OperationCase(name: "clamp", shapes: [[7, 9]], domain: { $0 < 1 ? $0 - 0.1 : $0 + 0.1 }) {
      $0[0].clamped(to: -5...1)
    },
    OperationCase(name: "permute", shapes: [[3, 4, 5, 2]]) { $0[0].permuted([2, 0, 3, 1]) },
    OperationCase(name: "transpose", shapes: [[19, 37]]) { $0[0].transposed() },
    OperationCase(name: "dilated convolution", shapes: [[2, 11, 3], [4, 9]], hasTangent: false) {
      $0[0].convolved(.same(kernel: 3, dilation: 2), weights: $0[1])
    },
    OperationCase(name: "strided convolution", shapes: [[2, 13, 3], [4, 15]], hasTangent: false) {
      $0[0].convolved(ConvolutionShape(kernel: 5, stride: 3, padding: 2), weights: $0[1])
    },
    OperationCase(
      name: "convolution over images", shapes: [[2, 6, 5, 3], [4, 27]], hasTangent: false
    ) {
      $0[0].convolved(
        ConvolutionShape(kernel: .init(3, 3), padding: .init(1, 1)), weights: $0[1])
    },
    OperationCase(
      name: "strided convolution over images", shapes: [[2, 9, 8, 3], [4, 45]], hasTangent: false
    ) {
      $0[0].convolved(
        ConvolutionShape(kernel: .init(5, 3), stride: .init(3, 2), padding: .init(2, 1)),
        weights: $0[1])
    },
    OperationCase(name: "group norm", shapes: [[2, 70, 6], [6], [6]], hasTangent: false) {
      $0[0].groupNormalized(groups: 3, weight: $0[1], bias: $0[2], epsilon: 1e-5)
    },
    OperationCase(name: "instance norm", shapes: [[2, 9, 5]], hasTangent: false) {
      $0[0].instanceNormalized(epsilon: 1e-5)
    },
    OperationCase(name: "gate", shapes: [[3, 10]], hasTangent: false) {
      $0[0].gated(tanhIsFirst: true)
    },
    OperationCase(name: "other gate", shapes: [[3, 10]], hasTangent: false) {
      $0[0].gated(tanhIsFirst: false)
    },
    OperationCase(
      name: "location-variable convolution",
      shapes: [[2, 12, 3], [2, 3, 9 * 32 * 2], [2, 3, 34]],
      hasTangent: false
    ) {
      $0[0].convolved(kernels: $0[1], biases: $0[2], taps: 3)
    },
    OperationCase(
      name: "anti-aliased snake", shapes: [[2, 23, 18], [18], [18]], hasTangent: false
    ) {
      let filter = Tensor((0..<12).map { Float($0 % 5) / 20 - 0.05 })
      return $0[0].antiAliasedSnake(
        alpha: $0[1], scale: $0[2] * 0.5, up: filter, down: filter + 0.01)
    },
    OperationCase(name: "attention", shapes: [[10, 24]], hasTangent: false) {
      $0[0].causalAttention(
        AttentionShape(heads: 4, keyValueHeads: 1, headSize: 4), positions: 5,
        rotation: RotaryTable(first: 0, count: 5, headSize: 4, maxPeriod: 100))
    },
    OperationCase(name: "reshape", shapes: [[4, 6]]) {
      $0[0].reshaped([8, 3]).rowSums().reshaped([2, 4])
    },
  ]
}

@Suite struct OperationTests {
  private func inputs(_ test: OperationCase, _ random: inout RandomNumbers) -> [Tensor] {
    test.shapes.map { shape in
      Tensor(random.normal(shape.reduce(1, *)).map(test.domain), shape: shape)
    }
  }

  private func directions(_ inputs: [Tensor], _ random: inout RandomNumbers) -> [Tensor] {
    inputs.map { Tensor(random.normal($0.count), shape: $0.shape) }
  }

  private func dot(_ a: Tensor, _ b: Tensor) -> Double {
    zip(a.values, b.values).reduce(0) { $0 + Double($1.0) * Double($1.1) }
  }

  /// The derivative along a direction by central differences.
  private func difference(
    _ inputs: [Tensor], _ directions: [Tensor], _ f: ([Tensor]) -> Double
  ) -> Double {
    let h: Float = 1 / 256
    func moved(_ step: Float) -> Double {
      f(zip(inputs, directions).map { ($0 + $1 * step).detached() })
    }
    // Richardson's extrapolation: float32 allows no small step.
    let coarse = (moved(2 * h) - moved(-2 * h)) / Double(4 * h)
    let fine = (moved(h) - moved(-h)) / Double(2 * h)
    return (4 * fine - coarse) / 3
  }

  @Test(arguments: OperationCase.all) func gradients(_ test: OperationCase) {
    var random = RandomNumbers(seed: 1, name: test.name)
    let inputs = inputs(test, &random)
    let directions = directions(inputs, &random)
    let weights = Tensor(
      random.normal(test.compute(inputs).count), shape: test.compute(inputs).shape)
    let tape = Tape()
    let variables = inputs.map { tape.watch($0) }
    let gradients = tape.gradients(
      of: (test.compute(variables) * weights).sum(), for: variables)
    let reverse = zip(gradients, directions).reduce(0) { sum, pair in
      sum + (pair.0.map { dot($0, pair.1) } ?? 0)
    }
    let expected = difference(inputs, directions) { dot(test.compute($0), weights) }
    #expect(abs(reverse - expected) <= 2e-3 * max(1, abs(expected)))
  }

  @Test(arguments: OperationCase.all.filter(\.hasTangent)) func tangents(_ test: OperationCase) {
    var random = RandomNumbers(seed: 2, name: test.name)
    let inputs = inputs(test, &random)
    let directions = directions(inputs, &random)
    let moving = zip(inputs, directions).map { $0.attaching(tangent: $1) }
    let output = test.compute(moving)
    let weights = Tensor(random.normal(output.count), shape: output.shape)
    let forward = output.tangent.map { dot($0, weights) } ?? 0
    let expected = difference(inputs, directions) { dot(test.compute($0), weights) }
    #expect(abs(forward - expected) <= 2e-3 * max(1, abs(expected)))
    // One input alone moving gives its part.
    if inputs.count > 1 {
      let single = [inputs[0].attaching(tangent: directions[0])] + inputs.dropFirst()
      let still = [directions[0]] + inputs.dropFirst().map { Tensor.zeros($0.shape) }
      let part = test.compute(single).tangent.map { dot($0, weights) } ?? 0
      let expectedPart = difference(inputs, still) { dot(test.compute($0), weights) }
      #expect(abs(part - expectedPart) <= 2e-3 * max(1, abs(expectedPart)))
    }
  }

  /// A tangent inside a loss, differentiated in reverse: what the LSD loss needs.
  @Test(arguments: OperationCase.all.filter(\.hasTangent)) func gradientsOfTangents(
    _ test: OperationCase
  ) {
    var random = RandomNumbers(seed: 3, name: test.name)
    let inputs = inputs(test, &random)
    let inner = directions(inputs, &random)
    let outer = directions(inputs, &random)
    func tangent(_ inputs: [Tensor]) -> Tensor? {
      test.compute(zip(inputs, inner).map { $0.attaching(tangent: $1) }).tangent
    }
    guard let sample = tangent(inputs) else { return }
    let weights = Tensor(random.normal(sample.count), shape: sample.shape)
    let tape = Tape()
    let variables = inputs.map { tape.watch($0) }
    guard let pushed = tangent(variables) else { return }
    let gradients = tape.gradients(of: (pushed * weights).sum(), for: variables)
    let reverse = zip(gradients, outer).reduce(0) { sum, pair in
      sum + (pair.0.map { dot($0, pair.1) } ?? 0)
    }
    let expected = difference(inputs, outer) { values in
      tangent(values).map { dot($0, weights) } ?? 0
    }
    #expect(abs(reverse - expected) <= 5e-3 * max(1, abs(expected)))
  }
}

@Suite struct AccumulatedSumTests {
  /// A sum in pieces has the value and the gradients of the whole.
  @Test func piecesAreTheWhole() throws {
    var random = RandomNumbers(seed: 9, name: "pieces")
    let x = Tensor(random.normal(70 * 5), shape: [70, 5])
    let w = Tensor(random.normal(4 * 5), shape: [4, 5])
    let constant = Tensor(random.normal(4))
    @Sendable func loss(_ x: Tensor, _ w: Tensor, _ c: Tensor) -> Tensor {
      (x.product(transposed: w) + c).silu().squared().sum()
    }
    func gradients(_ body: (Tensor, Tensor) throws -> Tensor) rethrows -> [Float] {
      let tape = Tape()
      let variables = [tape.watch(x), tape.watch(w)]
      let value = try body(variables[0], variables[1]) * 3
      return tape.gradients(of: value, for: variables).flatMap { $0?.values ?? [] }
        + [value.scalar]
    }
    let whole = gradients { loss($0, $1, constant) }
    for size in [7, 32, 70, 100] {
      func parts(_ threads: Int) throws -> [Float] {
        try gradients { x, w in
          let count = (70 + size - 1) / size
          func sum() throws -> (sum: Tensor, rest: [Int]) {
            try accumulatedSum([x, w, constant], pieces: count) { piece, inputs in
              let rows = piece * size..<min(70, (piece + 1) * size)
              return (loss(inputs[0].rows(rows), inputs[1], inputs[2]), piece)
            }
          }
          let (sum, rest) = try threads == 1 ? ThreadBudget.alone(sum) : sum()
          #expect(rest == Array(0..<count))
          return sum
        }
      }
      let (parts, alone) = (try parts(2), try parts(1))
      #expect(parts == alone)
      #expect(parts.count == whole.count)
      for (a, b) in zip(parts, whole) { #expect(abs(a - b) <= 1e-4 * max(1, abs(b))) }
    }
    // Without a tape it is a number.
    let (plain, _) = try accumulatedSum([x, w], pieces: 1) { _, inputs in
      (loss(inputs[0], inputs[1], constant), ())
    }
    #expect(abs(plain.scalar * 3 - (whole.last ?? 0)) < 1e-3 * abs(plain.scalar))
  }

  /// What no reverse rule reads is not kept, and gradients are right all the same.
  @Test func gradientsNeedOnlyWhatIsKept() {
    var random = RandomNumbers(seed: 10, name: "kept")
    let a = Tensor(random.normal(12), shape: [3, 4])
    let b = Tensor(random.normal(4))
    let tape = Tape()
    let x = tape.watch(a)
    let y = concatenateRows([(x + b).columns(1..<3), (x * b - x).columns(0..<2)]).rows(1..<5)
    let loss = (concatenateColumns([y, y * y]) * 2 + 1).rowSums().gatherRows([0, 2, -1, 0]).sum()
    let gradient = tape.gradients(of: loss, for: [x])[0]?.values ?? []
    func value(_ a: Tensor) -> Float {
      let y = concatenateRows([(a + b).columns(1..<3), (a * b - a).columns(0..<2)]).rows(1..<5)
      return (concatenateColumns([y, y * y]) * 2 + 1).rowSums().gatherRows([0, 2, -1, 0]).sum()
        .scalar
    }
    for index in 0..<12 {
      var (more, less) = (a.values, a.values)
      more[index] += 1e-2
      less[index] -= 1e-2
      let slope =
        (value(Tensor(more, shape: [3, 4])) - value(Tensor(less, shape: [3, 4]))) / 2e-2
      #expect(abs(slope - gradient[index]) < 2e-2 * max(1, abs(slope)), "\(index)")
    }
  }
}
