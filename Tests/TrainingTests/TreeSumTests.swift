import Base
import Processes
import Tensors
import TestSupport
import Testing

@testable import Training

@Suite struct TreeSumTests {
  /// Gradients of three parameters: some are nowhere, some are zeros of either sign.
  private static func gradients(_ micro: Int, long: Int) -> [Tensor?] {
    var random = RandomNumbers(seed: 3, name: "\(micro)")
    let values = random.normal(long).map { $0 * Float(1 << (micro % 20)) }
    return [
      Tensor(values), micro % 3 == 1 ? Tensor([-0.0, 1e-8 * Float(micro), .pi]) : nil, nil,
      micro % 2 == 0 ? Tensor(repeating: -0.0, shape: [2]) : nil,
    ]
  }

  private static func bits(_ sum: GradientSum) -> [[UInt32]?] {
    sum.values.map { $0?.values.map(\.bitPattern) }
  }

  @Test(.timeLimit(.minutes(1))) func theSumIsTheSameHoweverItIsShared() throws {
    let parameters = ParameterSet([
      "a": .zeros([37]), "b": .zeros([3]), "c": .zeros([5]), "d": .zeros([2]),
    ])
    for count in 1...24 {
      let whole = GradientSum.overTree(0..<count) { Self.gradients($0, long: 37) }
      for size in [2, 4, 8] where count % size == 0 {
        let share = count / size
        let sums = inGroup(of: size) { group in
          var sum = GradientSum.overTree(group.rank * share..<(group.rank + 1) * share) {
            Self.gradients($0, long: 37)
          }
          try sum.combine(over: group, of: parameters)
          return Self.bits(sum)
        }
        for sum in sums { #expect(try sum.get() == Self.bits(whole), "\(count) by \(size)") }
      }
    }
  }

  @Test(.timeLimit(.minutes(1))) func whatIsLongGoesInPieces() throws {
    let long = 1 << 20 + 5
    let parameters = ParameterSet([
      "a": .zeros([long]), "b": .zeros([3]), "c": .zeros([5]), "d": .zeros([2]),
    ])
    let whole = GradientSum.overTree(0..<2) { Self.gradients($0, long: long) }
    let sums = inGroup(of: 2) { group in
      var sum = GradientSum.overTree(group.rank..<group.rank + 1) {
        Self.gradients($0, long: long)
      }
      try sum.combine(over: group, of: parameters)
      return Self.bits(sum)
    }
    for sum in sums { #expect(try sum.get() == Self.bits(whole)) }
  }

  @Test func theTreeIsTheOneThatIsWrittenDown() {
    // ((0 + 1) + 2) + (3 + 4): in sequence the ones would be lost beside 2^24.
    let values: [Float] = [1, 1, 16_777_216, 1, 1]
    let sum = GradientSum.overTree(0..<5) { [Tensor([values[$0]])] }
    #expect(sum.values[0]?.values == [(1 + 1 + 16_777_216) + (1 + 1)])
  }

  @Test(.timeLimit(.minutes(1))) func whatOneSaysAllHear() throws {
    let heard = inGroup(of: 4) { group in
      let root = try group.fromRoot { -7 }
      let all = try group.gather(Array(repeating: UInt8(group.rank), count: group.rank))
      let stops = [
        try group.agree(), try group.agree(stops: group.rank == 3),
      ]
      return "\(root) \(all) \(stops)"
    }
    for text in heard { #expect(try text.get() == "-7 [[], [1], [2, 2], [3, 3, 3]] [false, true]") }
  }
}
