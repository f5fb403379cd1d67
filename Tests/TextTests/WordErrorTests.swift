import Testing

@testable import Text

@Suite struct WordErrorTests {
  private func count(_ actual: String, _ expected: String) -> EditCount {
    EditCount(comparableWords(actual), expected: comparableWords(expected))
  }

  private func edits(
    _ substitutions: Int, _ deletions: Int, _ insertions: Int, of length: Int
  ) -> EditCount {
    var edits = EditCount()
    edits.substitutions = substitutions
    edits.deletions = deletions
    edits.insertions = insertions
    edits.length = length
    return edits
  }

  @Test func editsAreCountedByKind() {
    #expect(count("the cat sat", "The cat sat.") == edits(0, 0, 0, of: 3))
    #expect(count("the hat sat", "the cat sat") == edits(1, 0, 0, of: 3))
    #expect(count("the sat", "the cat sat") == edits(0, 1, 0, of: 3))
    #expect(count("the the cat sat", "the cat sat") == edits(0, 0, 1, of: 3))
    #expect(count("", "the cat sat") == edits(0, 3, 0, of: 3))
    #expect(count("a b c d e", "x") == edits(1, 0, 4, of: 1))
    #expect(count("b c d a", "a b c d") == edits(0, 1, 1, of: 4))
    #expect(count("one", "") == edits(0, 0, 1, of: 0))
  }

  @Test func ratesAreEditsForEachWord() {
    #expect(count("a hat sat on on", "the cat sat on").rate == 0.75)
    // A runaway has more edits than there are words.
    #expect(count("x y z w v", "a b").rate == 2.5)
    #expect(count("x", "").rate == nil)
    let sum = count("the sat", "the cat sat") + count("a b", "a")
    #expect(sum == edits(0, 1, 1, of: 4) && sum.rate == 0.5)
  }

  @Test func editsAgreeWithAllAlignments() {
    // The fewest edits by trying everything.
    func fewest(_ a: ArraySlice<Int>, _ b: ArraySlice<Int>) -> Int {
      guard let x = a.first else { return b.count }
      guard let y = b.first else { return a.count }
      return min(
        fewest(a.dropFirst(), b.dropFirst()) + (x == y ? 0 : 1), fewest(a.dropFirst(), b) + 1,
        fewest(a, b.dropFirst()) + 1)
    }
    var state: UInt64 = 1
    func random(_ bound: UInt64) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((state >> 33) % bound)
    }
    for _ in 0..<200 {
      let a = (0..<random(7)).map { _ in random(3) }
      let b = (0..<random(7)).map { _ in random(3) }
      let edits = EditCount(a, expected: b)
      #expect(edits.edits == fewest(a[...], b[...]), "\(a) \(b)")
      // The edits lead from one length to the other.
      #expect(b.count - edits.deletions + edits.insertions == a.count)
    }
  }

  @Test func caseMarksAndApostrophesDoNotCount() {
    #expect(comparableWords("“Don’t,” she said -- 'twice'!") == ["dont", "she", "said", "twice"])
    #expect(comparableWords("well-known  3.5%\n") == ["well", "known", "3", "5"])
    #expect(comparableWords("ÉCOLE Straße") == ["école", "straße"])
    #expect(comparableWords("e\u{301}cole") == ["école"])
    #expect(comparableWords(" ... ").isEmpty)
  }
}
