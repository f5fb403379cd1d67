import Base
import TestSupport
import Testing

@testable import ResembleEnhance

/// What is done to recordings, against the package and SoX (`Tests/Parity`).
@Suite(.enabled(if: hasFixture("ResembleEnhance/data/cases.json"))) struct DistortionTests {
  private let data: DataFixture
  private let wav: [Float]

  init() throws {
    data = try DataFixture()
    wav = try data.floats("wav")
  }

  /// `-n 151 654-3321`: all but the name.
  private func applied(_ name: String, _ words: [String], to samples: [Float]) throws -> [Float] {
    let numbers = words.map { word in
      word.split(separator: "-").compactMap { Double($0.filter { $0 != "q" }) }
    }
    switch name {
    case "overdrive":
      return SoX.overdrive(samples, gain: numbers[0][0], colour: numbers[1][0])
    case "equalizer":
      let gain = try #require(Double(words[2]))
      return SoX.equalizer(
        samples, frequency: numbers[0][0], quality: numbers[1][0], gain: gain)
    case "reverb":
      return SoX.reverb(
        samples, reverberance: numbers[0][0], damping: numbers[1][0], roomScale: numbers[2][0])
    default:
      let taps = Int(numbers[1][0])
      return numbers[2].count == 1
        ? SoX.lowPass(samples, taps: taps, cutoff: numbers[2][0])
        : SoX.bandPass(samples, taps: taps, from: numbers[2][0], to: numbers[2][1])
    }
  }

  @Test func effectsAreThoseOfSoX() throws {
    let effects = try data.array("effects")
    #expect(effects.count == 17)
    for (index, effect) in effects.enumerated() {
      let name = try #require(effect["effect"]?.string)
      let words = try #require(effect["parameters"]?.array).compactMap(\.string)
      let count = try #require(effect["samples"]?.integer)
      let expected = try data.floats("effect.\(index)")
      let difference = largestDifference(
        try applied(name, words, to: Array(wav.prefix(count))), expected)
      #expect(difference <= 1e-7, "\(name) \(words): \(difference)")
    }
  }

  @Test func noiseHasTheSignalsEnergy() throws {
    let alpha = try #require(data.cases["noise_alpha"]?.double)
    let expected = try data.floats("noise.output")
    let noisy = withNoise(
      Array(wav.prefix(700)), noise: try data.floats("noise.normal"), alpha: alpha)
    #expect(largestDifference(noisy, expected) <= 1e-7)
    #expect(withNoise([0, 0], noise: [1, -1], alpha: 0.9) == [0, 0])
  }

  @Test func resamplingIsThatOfResampy() throws {
    for (from, to) in [(44_100, 44_000), (44_000, 44_100)] {
      let result = TableResampler.resampled(wav.prefix(700).map(Double.init), from: from, to: to)
      let expected = try data.floats("kaiser_fast.\(from).\(to)")
      #expect(largestDifference(result.map { Float($0) }, expected) <= 2e-7, "\(from) to \(to)")
    }
  }

  @Test func roomsAreThePackagesWhereAskedFor() throws {
    let rooms = try data.array("rir")
    #expect(rooms.count == 4)
    for room in rooms {
      let name = try #require(room["name"]?.string)
      let taps = try data.floats("rir.\(name).taps").map(Double.init)
      let response = try RoomResponse(taps: taps, name: name)
      #expect(response.direct == room["peak"]?.integer)
      let given = Array(wav.prefix(700))
      let expected = try data.floats("rir.\(name).output")
      let difference = largestDifference(response.apply(to: given, asPackage: true), expected)
      #expect(difference <= 1e-6, "\(name): \(difference)")
      // Otherwise the direct sound stays in its place, whatever comes before and after it.
      let scale = name == "loud" ? 1 : taps[response.direct]
      var alone = [Double](repeating: 0, count: taps.count)
      alone[response.direct] = taps[response.direct]
      let direct = try RoomResponse(taps: alone, name: name).apply(to: given, asPackage: false)
      if name == "loud" {
        let peak = given.reduce(0) { max($0, abs($1)) }
        #expect(largestDifference(direct, given.map { $0 / peak * 0.98 }) <= 1e-6)
      } else {
        #expect(largestDifference(direct, given.map { $0 * Float(scale) }) <= 1e-7)
      }
    }
  }

  @Test func mixturesAreThePackages() throws {
    let (foreground, background) = (try data.floats("mix.fg"), try data.floats("mix.bg"))
    for name in ["0", "0.2", "0.5", "0.8", "1"] {
      let expected = try data.floats("mix.\(name)")
      let alpha = try #require(Float(name))
      for row in [0..<500, 500..<1000] {
        let mixed = mixture(Array(foreground[row]), Array(background[row]), alpha: alpha)
        let difference = largestDifference(mixed, Array(expected[row]))
        #expect(difference <= 3e-7, "\(name): \(difference)")
      }
    }
    let silent = mixture(
      [Float](repeating: 0, count: 500), Array(background.prefix(500)), alpha: 0.8)
    #expect(largestDifference(silent, Array(try data.floats("mix.silent").prefix(500))) <= 3e-7)
    #expect(
      largestDifference(peakNormalized(Array(foreground[500...])), try data.floats("normalised"))
        <= 1e-7)
  }

  @Test func overdriveMakesAConstantOfSilence() throws {
    let silence = [Float](repeating: 0, count: 400)
    let loud = peakNormalized(SoX.overdrive(silence, gain: 20, colour: 40))
    #expect(largestDifference(loud, try data.floats("silent_overdrive")) <= 2e-7)
  }

  /// The share of each kind, and of each number of them, as the package draws.
  @Test func distortionsAreDrawnAsThePackageDraws() throws {
    var random = RandomNumbers(seed: 4, name: "tree")
    let draws = 20_000
    let chains = (0..<draws).map { _ in Distortion.drawn(&random, probability: 0.8, rooms: 7) }
    let tree = try #require(data.cases["tree"])
    let lengths = try #require(tree["share_of_lengths"]?.array).compactMap(\.double)
    for (length, expected) in lengths.enumerated() {
      let share = Double(chains.count { $0.count == length }) / Double(draws)
      // Five standard deviations of the package's 2000 draws.
      let spread = 5 * (expected * (1 - expected) / 2000).squareRoot()
      #expect(abs(share - expected) < spread, "\(length): \(share)")
    }
    var counts: [String: Int] = [:]
    for chain in chains {
      let kinds = chain.map(\.kind)
      #expect(Set(kinds).count == kinds.count)
      for kind in kinds { counts[kind, default: 0] += 1 }
    }
    #expect(counts.count == 6)
    for (kind, expected) in try #require(tree["share_of_effects"]?.object) {
      let share = Double(counts[kind] ?? 0) / Double(draws)
      #expect(abs(share - (expected.double ?? 0)) < 0.05, "\(kind): \(share)")
    }
    // Which of two comes first is even.
    let both = chains.map { $0.map(\.kind) }.filter { $0.contains("rir") && $0.contains("noise") }
    let first = both.count { $0.first { ["rir", "noise"].contains($0) } == "rir" }
    #expect(abs(Double(first) / Double(both.count) - 0.5) < 0.03)
  }

  @Test func parametersAreInThePackagesRanges() throws {
    var random = RandomNumbers(seed: 5, name: "tree")
    let all = (0..<20_000).flatMap { _ in
      Distortion.drawn(&random, probability: 1, rooms: 7)
    }
    /// The ends that were met, and the middle.
    func range(_ values: [Double]) -> [Double] {
      [values.min() ?? .nan, values.reduce(0, +) / Double(values.count), values.max() ?? .nan]
    }
    func check(_ values: [Double], _ low: Double, _ high: Double, isWhole: Bool = false) {
      let met = range(values)
      let slack = (high - low) * 0.02
      #expect(met[0] >= low && met[2] <= high)
      #expect(met[0] - low < slack && high - met[2] < slack)
      #expect(abs(met[1] - (low + high) / 2) < slack)
      if isWhole { #expect(values.contains(low) && values.contains(high)) }
    }
    var values: [String: [Double]] = [:]
    func add(_ key: String, _ numbers: Double...) { values[key, default: []] += numbers }
    for distortion in all {
      switch distortion {
      case .room(let number): add("room", Double(number))
      case .reverb(let one, let two, let three): add("reverb", one, two, three)
      case .noise(let alpha, _): add("noise", alpha)
      case .overdrive(let gain, let colour):
        add("gain", gain)
        add("colour", colour)
      case .equalizer(let frequency, let quality, let gain):
        add("frequency", frequency)
        add("quality", Double(quality))
        add("decibels", Double(gain))
      case .lowPass(let taps, let cutoff):
        add("taps", Double(taps))
        add("cutoff", cutoff)
      case .bandPass(let taps, let from, let to):
        add("taps", Double(taps))
        add("from", Double(from))
        add("width", Double(to - from))
      }
    }
    check(values["room"] ?? [], 0, 6, isWhole: true)
    check(values["reverb"] ?? [], 0, 100)
    check(values["noise"] ?? [], 0.8, 1)
    check(values["gain"] ?? [], 5, 40)
    check(values["colour"] ?? [], 20, 80)
    check(values["frequency"] ?? [], 100, 4000)
    check(values["quality"] ?? [], 1, 5, isWhole: true)
    check(values["decibels"] ?? [], -30, 30, isWhole: true)
    check(values["taps"] ?? [], 50, 200, isWhole: true)
    check(values["cutoff"] ?? [], 2000, 16_000)
    check(values["from"] ?? [], 100, 1000)
    check(values["width"] ?? [], 2000, 4000)
    // Both kinds of the band are as likely.
    let lowPasses = values["cutoff"]?.count ?? 0
    let bandPasses = values["from"]?.count ?? 0
    #expect(abs(lowPasses - bandPasses) < (lowPasses + bandPasses) / 20)
  }

  /// The package's own examples lie in the ranges that are drawn from here.
  @Test func thePackagesExamplesFit() throws {
    for example in try data.array("drawn") {
      for words in try #require(example["words"]?.array) {
        let words = try #require(words.array).compactMap(\.string)
        #expect(
          try applied(words[0], Array(words.dropFirst()), to: Array(wav.prefix(64))).count == 64)
      }
    }
  }
}

extension Distortion {
  /// The name of the kind in the fixtures.
  fileprivate var kind: String {
    switch self {
    case .room: "rir"
    case .reverb: "reverb"
    case .noise: "noise"
    case .overdrive: "overdrive"
    case .equalizer: "equaliser"
    case .lowPass, .bandPass: "band"
    }
  }
}
