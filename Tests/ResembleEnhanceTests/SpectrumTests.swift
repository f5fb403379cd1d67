import Base
import Foundation
import Tensors
import TestSupport
import Testing

@testable import ResembleEnhance

@Suite struct LogMelTests {
  private func mel(_ kind: String, _ cases: SignalFixture) throws -> LogMel {
    let (size, bands) = kind == "small" ? (1024, 16) : (2048, 128)
    var window = try cases.floats("\(kind).window")
    if kind == "full" { window += window[1..<1024].reversed() }
    var bank = [Float](repeating: 0, count: (size / 2 + 1) * bands)
    let (places, values) = try (
      cases.integers("\(kind).fb.index"), cases.floats("\(kind).fb.value")
    )
    for (place, value) in zip(places, values) { bank[place] = value }
    return LogMel(
      window: Tensor(window), bank: Tensor(bank, shape: [size / 2 + 1, bands]), size: size,
      hop: 420, floor: 1e-4, preEmphasis: 0.97)
  }

  @Test(arguments: ["small", "full"]) func levelsAreThePackages(_ kind: String) throws {
    let cases = try SignalFixture("mel")
    let mel = try mel(kind, cases)
    let audio = try cases.row("audio")
    assertClose(mel(audio).values, try cases.frames("\(kind).mel"), tolerance: 1e-5)
    let loud = mel(audio.columns(0..<900) * 8)
    #expect(loud.shape == [1, 2, mel.bands])
    assertClose(loud.values, try cases.frames("\(kind).loud"), tolerance: 1e-5)
    // Rows do not know one another.
    let two = mel(Tensor(audio.values + audio.values.reversed(), shape: [2, 2100]))
    #expect(two.rows(0..<5).values == mel(audio).values)
    #expect(mel(Tensor.zeros([2, 900])).values.allSatisfy { $0 == 0 })
  }

  @Test func lengthsAreThePackages() throws {
    let cases = try SignalFixture("mel")
    let mel = try mel("small", cases)
    let audio = try cases.row("audio")
    for fact in try #require(cases.facts["lengths"]?.array) {
      let length = try #require(fact["length"]?.integer)
      let levels = mel(audio.columns(0..<length))
      #expect(levels.shape == [1, fact["frames"]?.integer ?? 0, 16], "\(length)")
      if length == 841 {
        assertClose(levels.values, try cases.frames("small.length.841"), tolerance: 1e-5)
      }
    }
    // In float32, as the package was given it.
    let turns = Float(2 * Double.pi * 440)
    let sine = (0..<44100).map { 0.5 * sin(turns * (Float($0) / 44100)) }
    let golden = try #require(cases.facts["golden"]?["bands"]?.array).compactMap(\.double)
    let levels = try self.mel("full", cases)(Tensor(sine, shape: [1, 44100]))
    assertClose(levels.rows(50..<51).values, golden.map { Float($0) }, tolerance: 1e-5)
  }
}

@Suite struct DenoiserSpectrumTests {
  private let spectrum = DenoiserSpectrum(hop: 420)

  private func normalized(_ samples: [Float]) -> Tensor {
    let peak = samples.reduce(0) { max($0, abs($1)) } + 1e-7
    return Tensor(samples.map { $0 / peak }, shape: [1, samples.count])
  }

  @Test func partsAreThePackages() throws {
    let cases = try SignalFixture("denoiser")
    let parts = spectrum.analyze(normalized(try cases.floats("audio")))
    #expect(parts.magnitude.shape == [1, 3, 841] && spectrum.fewestSamples == 841)
    assertClose(parts.magnitude.values, try cases.frames("magnitude"), tolerance: 1e-6)
    // Where there is hardly any magnitude, the phase is of rounding errors.
    for (mine, name) in [(parts.cosine, "cos"), (parts.sine, "sin")] {
      let weighted = zip(mine.values, parts.magnitude.values).map { $0 * $1 }
      let expected = try zip(cases.frames(name), cases.frames("magnitude")).map { $0 * $1 }
      assertClose(weighted, expected, tolerance: 1e-6, name)
      assertClose(mine.values, try cases.frames(name), tolerance: 1e-3, name)
    }
  }

  @Test func soundsAreThePackages() throws {
    let cases = try SignalFixture("denoiser")
    func part(_ name: String) throws -> Tensor {
      Tensor(try cases.frames(name), shape: [1, 3, 841])
    }
    let (magnitude, cosine, sine) = try (part("magnitude"), part("cos"), part("sin"))
    let same = spectrum.synthesize(
      .init(magnitude: magnitude, cosine: cosine, sine: sine), samples: 1260)
    assertClose(same.values, try cases.floats("roundtrip"), tolerance: 1e-6)
    let (cosineChange, sineChange) = try (part("cos_change"), part("sin_change"))
    let changed = DenoiserSpectrum.Parts(
      magnitude: (magnitude * (try part("mask"))).relu(),
      cosine: cosine * cosineChange - sine * sineChange,
      sine: sine * cosineChange + cosine * sineChange)
    let sound = spectrum.synthesize(changed, samples: 1300)
    #expect(sound.shape == [1, 1300])
    let expected = try cases.floats("istft") + Array(repeating: 0, count: 40)
    assertClose(sound.values, expected, tolerance: 1e-6)
  }

  @Test func silenceAndShortRowsHaveParts() {
    let parts = spectrum.analyze(Tensor.zeros([2, 841]))
    #expect(parts.magnitude.shape == [2, 2, 841])
    #expect(parts.cosine.values.allSatisfy { $0 == 1 } && parts.sine.values.allSatisfy { $0 == 0 })
    #expect(spectrum.synthesize(parts, samples: 841).values == [Float](repeating: 0, count: 1682))
    let none = Tensor.zeros([2, 0, 841])
    let sound = spectrum.synthesize(.init(magnitude: none, cosine: none, sine: none), samples: 5)
    #expect(sound.values == [Float](repeating: 0, count: 10))
  }

  @Test func whatIsNoNumberIsSilent() throws {
    let small = DenoiserSpectrum(hop: 8)
    var magnitude = Tensor(uniform("magnitudes", seed: 1, count: 408), shape: [2, 12, 17])
    magnitude.mutate { $0[3 * 17] = .nan }
    let tape = Tape()
    let variable = tape.watch(magnitude)
    let ones = Tensor(repeating: 1, shape: magnitude.shape)
    let sound = small.synthesize(
      .init(magnitude: variable, cosine: ones, sine: ones), samples: 100)
    #expect(sound.values.allSatisfy { $0.isFinite } && sound.values.contains { $0 != 0 })
    // The fourth frame reaches from sample 8 to 39.
    #expect(sound.values[8..<40].allSatisfy { $0 == 0 } && sound.values[40] != 0)
    let gradient = try #require(tape.gradients(of: sound.sum(), for: [variable])[0])
    #expect(gradient.values.allSatisfy { $0.isFinite })
  }

  @Test func gradientsReachTheMagnitudes() throws {
    let small = DenoiserSpectrum(hop: 8)
    var random = RandomNumbers(seed: 4)
    func noise(_ shape: [Int]) -> Tensor {
      Tensor(random.normal(shape.reduce(1, *)), shape: shape)
    }
    let (x, cosine, sine) = (noise([2, 5, 17]), noise([2, 5, 17]), noise([2, 5, 17]))
    let weights = noise([2, 43])
    func value(_ magnitude: Tensor) -> Tensor {
      (small.synthesize(.init(magnitude: magnitude, cosine: cosine, sine: sine), samples: 43)
        * weights).sum()
    }
    let tape = Tape()
    let variable = tape.watch(x)
    let gradient = try #require(tape.gradients(of: value(variable), for: [variable])[0])
    // The value is linear in the magnitudes.
    let expected = value(x).scalar
    let actual = zip(gradient.values, x.values).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
    #expect(abs(actual - Double(expected)) < 1e-5, "\(actual) \(expected)")
  }
}

@Suite struct SpectralLossTests {
  @Test func termsAndGradientAreThePackages() throws {
    let cases = try SignalFixture("stage1")
    let (x, y) = try (cases.tensor("mrstft.x"), cases.tensor("mrstft.y"))
    let tape = Tape()
    let variable = tape.watch(x)
    let terms = SpectralLoss()(variable, y)
    let expected = try #require(cases.facts["mrstft"])
    for (term, name) in [(terms.convergence, "sc"), (terms.magnitude, "mag")] {
      let value = try #require(expected[name]?.double)
      #expect(abs(Double(term.scalar) - value) < 1e-6 * value, "\(name) \(term.scalar) \(value)")
    }
    let gradient = try #require(
      tape.gradients(of: terms.convergence + terms.magnitude, for: [variable])[0])
    assertClose(gradient.values, try cases.floats("mrstft.gradient"), tolerance: 1e-5)
  }

  @Test func silenceAndEqualSoundsHaveFiniteGradients() throws {
    let sound = Tensor(uniform("a sound", seed: 1, count: 4400), shape: [2, 2200])
    for (x, y) in [
      (sound, sound), (sound, Tensor.zeros([2, 2200])), (Tensor.zeros([2, 2200]), sound),
    ] {
      let tape = Tape()
      let variable = tape.watch(x)
      let terms = SpectralLoss()(variable, y)
      let loss = terms.convergence + terms.magnitude
      #expect(loss.scalar.isFinite)
      let gradient = tape.gradients(of: loss, for: [variable])[0]
      #expect(gradient?.values.allSatisfy { $0.isFinite } == true)
    }
  }
}
