import Base
import TestSupport
import Testing

@testable import ResembleEnhance

@Suite struct ChunkTests {
  /// The signal that the package was tried with, as long as is needed.
  static let signal: [Float] = {
    let count = 59 * 44100 + 22050
    let loudness = uniform("loudness", seed: 1000, count: count / 1102 + 1)
    return zip(uniform("signal", seed: 1000, count: count), 0...).map { sample, index in
      sample * (loudness[index / 1102] * loudness[index / 1102])
    }
  }()

  /// All of a signal in pieces of so many samples.
  private func run(
    _ signal: [Float], pieces: Int = 100_000, followsPackage: Bool = false,
    length: Int = 30 * 44100, overlap: Int = 44100,
    _ model: @escaping ([Float]) throws -> [Float] = { $0 }
  ) throws -> [Float] {
    var stream = ChunkStream(
      length: length, overlap: overlap, followsPackage: followsPackage, model: model)
    var output: [Float] = []
    for start in stride(from: 0, to: signal.count, by: pieces) {
      output += try stream.process(Array(signal[start..<min(signal.count, start + pieces)]))
    }
    return try output + stream.finish()
  }

  @Test(arguments: [29.3, 29.5, 29.9, 30.0, 31, 45, 58.3, 58.9, 59.5])
  func anIdentityChangesNothing(_ seconds: Double) throws {
    let signal = Array(Self.signal[..<Int(seconds * 44100)])
    assertClose(try run(signal), signal, tolerance: 2e-7)
  }

  @Test(arguments: [0, 1, 399, 400, 841], [false, true])
  func shortOnesArePadded(_ count: Int, followsPackage: Bool) throws {
    let signal = Array(Self.signal[..<count])
    var lengths: [Int] = []
    let output = try run(signal, followsPackage: followsPackage) {
      lengths.append($0.count)
      return $0
    }
    assertClose(output, signal, tolerance: 2e-7)
    #expect(lengths == (count == 0 ? [] : [max(841, count + 441)]))
  }

  @Test func silenceStaysSilent() throws {
    let silence = [Float](repeating: 0, count: 70_000)
    let output = try run(silence, length: 30_000, overlap: 2000) { chunk in
      #expect(chunk.allSatisfy { $0 == 0 })
      return chunk
    }
    #expect(output == silence)
  }

  /// The model hears peaks of 1; the result has the loudness of what came in.
  @Test func peaksAreRestored() throws {
    let signal = Array(Self.signal[..<9000]).map { $0 / 16 }
    let output = try run(signal, length: 3000, overlap: 600) { chunk in
      #expect(abs(chunk.reduce(0) { max($0, abs($1)) } - 1) < 1e-6)
      return chunk.map { -$0 / 2 }
    }
    assertClose(output, signal.map { -$0 / 2 }, tolerance: 2e-7)
  }

  @Test(arguments: [false, true]) func cuttingChangesNothing(_ followsPackage: Bool) throws {
    for count in [3968, 3969, 3970, 4000, 7938, 9300, 12_000] {
      let signal = Array(Self.signal[..<count])
      func output(_ pieces: Int) throws -> [Float] {
        try run(
          signal, pieces: pieces, followsPackage: followsPackage, length: 3969, overlap: 1102)
      }
      let whole = try output(count)
      #expect(whole.count == count)
      for pieces in [1, 7, 1102, 2867, 3969, 5000] { #expect(try output(pieces) == whole) }
      if !followsPackage { assertClose(whole, signal, tolerance: 2e-7) }
    }
  }

  /// Samples come out as soon as the next chunk's cannot change them.
  @Test func memoryIsFlat() throws {
    var stream = ChunkStream(length: 3000, overlap: 600) { $0 }
    var (given, taken) = (0, 0)
    for _ in 0..<400 {
      given += 100
      taken += try stream.process([Float](repeating: 0.5, count: 100)).count
      #expect(given - taken <= 3000 + 100)
    }
    #expect(try taken + stream.finish().count == 40_000)
  }

  @Test func whatTheModelThrowsEndsTheWork() {
    struct Refusal: Error {}
    #expect(throws: Refusal.self) { try run([1, 2, 3]) { _ in throw Refusal() } }
  }

  @Test func lagsAreThePackages() throws {
    let cases = try SignalFixture("chunks")
    let audio = try cases.floats("offset.audio")
    let facts = try #require(cases.facts["offset"]?.array)
    #expect(facts.count == 5)
    for fact in facts {
      let (first, second, length, offset) = try (
        #require(fact["first"]?.integer), #require(fact["second"]?.integer),
        #require(fact["length"]?.integer), #require(fact["offset"]?.integer)
      )
      let lag = ChunkLag()(
        Array(audio[first..<first + length]), Array(audio[second..<second + length]))
      #expect(lag == offset, "\(fact)")
      #expect(abs(offset) <= ChunkLag.largest(length))
    }
  }

  /// Its mistakes, where it is followed.
  @Test func chunksLieWhereThePackageHasThem() throws {
    let facts = try #require(try SignalFixture("chunks").facts["identity"]?.array)
    #expect(facts.count == 9)
    for fact in facts {
      let count = try #require(fact["samples"]?.integer)
      let signal = Array(Self.signal[..<count])
      let output = try run(signal, followsPackage: true)
      let errors = zip(output, signal).map { abs($0 - $1) }
      let largest = try #require(fact["largest_error"]?.double)
      #expect(abs(Double(errors.max() ?? 0) - largest) < 1e-6, "\(count)")
      #expect(errors.firstIndex { $0 > 1e-4 } == fact["wrong_from"]?.integer, "\(count)")
    }
  }
}
