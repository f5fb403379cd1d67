import Base
import Foundation
import TestSupport
import Testing

@testable import Audio

@Suite struct SpectralDistanceTests {
  @Test(arguments: [8000, 24000]) func aToneIsInItsBand(_ rate: Int) {
    let spectrum = MelSpectrum(rate: rate, bands: 40, window: rate / 25, hop: rate / 50)
    let tone = (0..<rate).map { Float(sin(2 * .pi * 1000 * Double($0) / Double(rate))) }
    let frames = spectrum.frames(of: tone)
    #expect(frames.count == 50)
    // The middles of the bands are equally far apart on the mel scale.
    func mel(_ frequency: Double) -> Double { 2595 * log10(1 + frequency / 700) }
    let expected = mel(1000) / mel(Double(rate) / 2) * 41 - 1
    let loudest = frames[25].indices.max { frames[25][$0] < frames[25][$1] } ?? 0
    #expect(abs(Double(loudest) - expected) <= 0.51)
    // Every band hears something of noise.
    let noise = speechLike(seconds: 1, rate: rate)
    #expect(spectrum.frames(of: noise)[10].allSatisfy { $0 > 0 })
  }

  @Test func warpingTakesTheBestPath() {
    // By hand: 0 1 2 against 0 0 1 2 2 is a path of five pairs without distance.
    #expect(DynamicTimeWarping.distance([0, 1, 2], [0, 0, 1, 2, 2], width: 1) == 0)
    // The third frame has no match: it is 3 off one of its neighbours, over three pairs.
    #expect(DynamicTimeWarping.distance([0, 0, 3], [0, 0, 0], width: 1) == 1)
    #expect(DynamicTimeWarping.distance([1], [0, 0], width: 1) == 1)
    // The root mean square over the features.
    let far = DynamicTimeWarping.distance([3, 4], [0, 0], width: 2)
    #expect(far.map { abs($0 - 12.5.squareRoot()) < 1e-6 } == true)
    #expect(DynamicTimeWarping.distance([], [0], width: 1) == nil)
    let long = [Float](repeating: 0, count: 8193)
    #expect(DynamicTimeWarping.distance(long, long, width: 1) == nil)
  }

  @Test func distancesAreOfTheSoundAlone() throws {
    let measure = try SpectralDistance(rate: 24000)
    let speech = speechLike(seconds: 2, rate: 24000, seed: 1)
    #expect(measure.distance(speech, from: speech) == 0)
    // Neither level nor a pause that is longer matter; another voice does.
    let quiet = try #require(measure.distance(speech.map { $0 / 8 }, from: speech))
    #expect(quiet < 1e-3)
    let paused = Array(speech[..<31800]) + speech[27000...]
    let slower = try #require(measure.distance(paused, from: speech))
    let other = try #require(
      measure.distance(speechLike(seconds: 2, rate: 24000, seed: 9), from: speech))
    var random = RandomNumbers(seed: 1)
    let noise = try #require(measure.distance(random.normal(48000), from: speech))
    #expect(slower < other / 2 && other < noise, "\(slower) \(other) \(noise)")
    #expect(measure.distance([], from: speech) == nil)
    #expect(measure.distance(speech, from: [0, 0, 0]) == nil)
    #expect(throws: (any Error).self) { try SpectralDistance(rate: 10) }
  }

  @Test func levelsAreOfFullScale() throws {
    #expect(rootMeanSquareLevel([1, -1, 1, -1]) == 0)
    let level = try #require(rootMeanSquareLevel([0.1, -0.1]))
    #expect(abs(level + 20) < 1e-5)
    #expect(rootMeanSquareLevel([0, 0]) == nil && rootMeanSquareLevel([]) == nil)
  }
}
