import Base
import Testing

@Suite struct PermutationTests {
  @Test(arguments: [1, 2, 3, 4, 5, 16, 17, 100, 257, 1000, 4097])
  func permutationIsABijection(count: Int) {
    for seed in [0, 1, 77] as [UInt64] {
      let permutation = Permutation(count: count, seed: seed, name: "epoch 0")
      #expect(Set((0..<count).map { permutation[$0] }) == Set(0..<count))
    }
  }

  @Test func permutationsDifferAndMix() {
    let count = 10_000
    let one = Permutation(count: count, seed: 1, name: "epoch 0")
    let other = Permutation(count: count, seed: 1, name: "epoch 1")
    let places = (0..<count).map { one[$0] }
    #expect(places != (0..<count).map { other[$0] })
    // Neighbours end up far apart: the mean distance of a random permutation is a third of the count.
    let distance = zip(places, places.dropFirst()).reduce(0) { $0 + abs($1.0 - $1.1) } / (count - 1)
    #expect(abs(distance - count / 3) < count / 30)
  }
}
