import Base
import Foundation
import TestSupport
import Testing

@testable import Audio

struct ResamplerTests {
  static let rates = [8000, 16000, 22050, 24000, 44100, 48000, 11025, 96000]

  @Test(arguments: [8000, 16000, 22050, 44100, 48000])
  func referenceEqualsTheOfficialPackage(rate: Int) throws {
    let fixture = try Fixture("PocketTTS/audio/cases.safetensors")
    var resampler = try ReferenceResampler(from: rate, to: 24000)
    let output = try resampler.all(try fixture.floats("resample.\(rate).input"))
    let expected = try fixture.floats("resample.\(rate).output")
    #expect(output.count == expected.count)
    #expect(largestDifference(output, expected) < 2e-6)
  }

  @Test(arguments: [8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000])
  func torchaudiosFilterIsThatOfResembleEnhance(rate: Int) throws {
    let fixture = try Fixture("ResembleEnhance/resample/cases.safetensors")
    let facts = try JSON.parse(readFile(TestSupport.fixture("ResembleEnhance/resample/cases.json")))
    let fact = try #require(facts["rates"]?.array?.first { $0["rate"]?.integer == rate })
    // Ours is as far from its float32 coefficients as its own are with float64 ones.
    let apart = Float(try #require(fact["float_taps_differ_by"]?.double)) + 2e-7
    func check(
      _ from: Int, _ to: Int, _ input: [Float], _ expected: [Float], within apart: Float = 1.2e-5
    ) throws {
      var resampler = try ReferenceResampler(from: from, to: to, filter: .torchaudio)
      let output = try resampler.all(input)
      #expect(output.count == expected.count)
      #expect(largestDifference(output, expected) <= apart, "\(from) to \(to)")
      var cut = try ReferenceResampler(from: from, to: to, filter: .torchaudio)
      #expect(input.flatMap { cut.process([$0]) } + cut.finish() == output)
    }
    let input = try fixture.floats("\(rate).input")
    try check(rate, 44100, input, fixture.floats("\(rate).output"), within: apart)
    if rate == 16000 {
      try check(rate, 44100, [input[100]], fixture.floats("16000.output_of_1"))
      try check(
        44100, 44000, fixture.floats("back.input"), fixture.floats("back.44000.output"))
    }
  }

  @Test func tablesAreOfMeasuredSize() throws {
    #expect(throws: Failure.self) {
      try ReferenceResampler(from: 767_999, to: 44100, filter: .torchaudio)
    }
    var odd = try ReferenceResampler(from: 44101, to: 44100, filter: .torchaudio)
    let tone = sine(500, rate: 44101, count: 3000)
    let output = try odd.all(tone)
    let expected = sine(500, rate: 44100, count: 3000)
    #expect(largestDifference(Array(output[200..<2800]), Array(expected[200..<2800])) < 1e-4)
  }

  @Test(arguments: rates, [24000, 16000])
  func lengthIsExactAndCuttingChangesNothing(from: Int, to: Int) throws {
    for count in [0, 1, 2, 479, 30001] {
      let input = noise(count)
      var whole = try ReferenceResampler(from: from, to: to)
      let expected = try whole.all(input)
      #expect(expected.count == (count * to + from - 1) / from)
      var sinc = try SincResampler(from: from, to: to)
      let sincExpected = try sinc.process(input) + sinc.finish()
      #expect(sincExpected.count == expected.count)
      for seed in 1...3 as ClosedRange<UInt64> {
        var cut = try ReferenceResampler(from: from, to: to)
        var cutSinc = try SincResampler(from: from, to: to)
        var output: [Float] = []
        var sincOutput: [Float] = []
        for piece in pieces(input, seed: seed) {
          output += cut.process(Array(piece))
          sincOutput += try cutSinc.process(Array(piece))
        }
        output += cut.finish()
        sincOutput += try cutSinc.finish()
        #expect(output == expected, "\(from) to \(to), \(count) samples, cut \(seed)")
        #expect(sincOutput == sincExpected, "sinc \(from) to \(to), \(count) samples, cut \(seed)")
      }
    }
  }

  @Test(arguments: rates, [8000, 24000, 48000])
  func toneStaysInPlace(from: Int, to: Int) throws {
    let input = sine(500, rate: from, count: from)
    let expected = sine(500, rate: to, count: to)
    var reference = try ReferenceResampler(from: from, to: to)
    var sinc = try SincResampler(from: from, to: to)
    let middle = to / 4..<to * 3 / 4
    let outputs = [try reference.all(input), try sinc.process(input) + sinc.finish()]
    // Kaiser β = 5 has a ripple of a few thousandths; the best sinc nearly none.
    for (output, tolerance) in zip(outputs, [2e-3, 1e-5] as [Float]) {
      #expect(output.count == to)
      #expect(largestDifference(Array(output[middle]), Array(expected[middle])) < tolerance)
    }
  }

  @Test func impulseStaysInPlace() throws {
    var input = [Float](repeating: 0, count: 4410)
    input[2205] = 1
    for to in [24000, 48000, 44100] {
      var reference = try ReferenceResampler(from: 44100, to: to)
      let output = try reference.all(input)
      let peak = output.indices.max { output[$0] < output[$1] } ?? 0
      #expect(abs(peak - 2205 * to / 44100) <= 1)
    }
  }

  @Test func imagesAreSuppressed() throws {
    // 11 kHz does not exist at 16 kHz.
    var sinc = try SincResampler(from: 48000, to: 16000)
    let output = try sinc.process(sine(11000, rate: 48000, count: 48000)) + sinc.finish()
    #expect((output[1000..<15000].map(abs).max() ?? 1) < 1e-4)
  }

  @Test(arguments: [(44100, 24000), (22050, 24000), (48000, 24000), (8000, 24000), (24000, 44100)])
  func tableIsTheLibrarysFilter(from: Int, to: Int) throws {
    let input = noise(20_000)
    var table = try SincResampler(from: from, to: to)
    var library = try SincResampler(from: from, to: to, largestTable: 0)
    let expected = try library.all(input)
    let output = try table.all(input)
    #expect(output.count == expected.count)
    #expect(largestDifference(output, expected) < 3e-6)
  }

  @Test func oddRatesAreResampledToo() throws {
    var sinc = try SincResampler(from: 24001, to: 24000)
    let output = try sinc.all(sine(500, rate: 24001, count: 24001))
    #expect(output.count == 24000)
    #expect(
      largestDifference(
        Array(output[8000..<16000]), Array(sine(500, rate: 24000, count: 24000)[8000..<16000]))
        < 1e-5)
  }

  @Test func impossibleRatesAreRefused() {
    for (from, to) in [(0, 24000), (-5, 24000), (24000, 1 << 40)] {
      #expect(throws: Failure.self) { _ = try ReferenceResampler(from: from, to: to) }
      #expect(throws: Failure.self) { _ = try SincResampler(from: from, to: to) }
    }
    #expect(throws: Failure.self) { _ = try SincResampler(from: 768_000, to: 1000) }
  }

  @Test func pauseEqualsTheOfficialPackage() throws {
    let fixture = try Fixture("PocketTTS/audio/cases.safetensors")
    for name in fixture.names where name.hasPrefix("pause.") && name.hasSuffix(".input") {
      let output = endOnPause(try fixture.floats(name))
      let expected = try fixture.floats(name.replacingOccurrences(of: ".input", with: ".output"))
      #expect(output.count == expected.count)
      #expect(largestDifference(output, expected) < 1e-6, "\(name)")
    }
  }
}
