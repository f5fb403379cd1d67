import Base
import TestSupport
import Testing

@testable import ResembleEnhance

@Suite struct TorchRandomTests {
  @Test func drawsAreTorchs() throws {
    let cases = try SignalFixture("draws")
    let facts = try #require(cases.facts["cases"]?.array)
    #expect(facts.count == 6)
    for fact in facts {
      let seed = try #require(fact["seed"]?.integer)
      let count = try #require(fact["normal"]?.integer)
      var random = TorchRandom(seed: UInt64(seed))
      assertClose(
        random.normal(count), try cases.floats("normal.\(seed).\(count)"), tolerance: 5e-7,
        "\(seed) \(count)")
    }
    var random = TorchRandom(seed: 7)
    let uniform = try cases.floats("uniform.7")
    #expect(random.uniform(uniform.count) == uniform)
  }

  @Test func drawsFollowOneAnother() throws {
    let cases = try SignalFixture("draws")
    var random = TorchRandom(seed: 3)
    assertClose(random.normal(40), try cases.floats("chunk.3.prior"), tolerance: 5e-7)
    assertClose(random.normal(384), try cases.floats("chunk.3.noise"), tolerance: 5e-7)
  }

  /// The tenth thousandth number of the generator's authors.
  @Test func bitsAreTheMersenneTwisters() {
    var random = TorchRandom(seed: 5489)
    for _ in 0..<9999 { _ = random.bits() }
    #expect(random.bits() == 4_123_659_995)
  }
}
