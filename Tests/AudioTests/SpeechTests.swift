import Foundation
import Testing

@testable import Audio

struct SpeechTests {
  static let rate = 16000

  /// Background noise with bursts of louder, modulated noise at the given seconds.
  private func recording(
    seconds: Double, speech: [(Double, Double)], floor: Float = 0.001, seed: UInt64 = 9
  ) -> [Float] {
    var sound = noise(Int(seconds * Double(Self.rate)), seed: seed).map { $0 * floor }
    let voice = noise(sound.count, seed: seed + 1)
    for (start, end) in speech {
      for index in Int(start * Double(Self.rate))..<Int(end * Double(Self.rate)) {
        sound[index] += voice[index] * 0.1
      }
    }
    return sound
  }

  private func frames(_ sound: [Float], cuts: UInt64? = nil) throws -> [SpeechDetector.Frame] {
    var detector = try SpeechDetector(rate: Self.rate, threshold: 10)
    var result: [SpeechDetector.Frame] = []
    if let cuts {
      for piece in pieces(sound, seed: cuts) { result += detector.process(Array(piece)) }
    } else {
      result = detector.process(sound)
    }
    return result + detector.finish()
  }

  private func segments(
    _ frames: [SpeechDetector.Frame], _ rules: SegmentRules, by step: Int = 1000
  ) -> [Range<Int>] {
    var segmenter = SpeechSegmenter(rules: rules)
    var result: [Range<Int>] = []
    var index = 0
    while index < frames.count {
      let end = min(frames.count, index + step)
      let new = segmenter.process(Array(frames[index..<end]))
      for range in new { #expect(range.upperBound <= frames.count) }
      result += new
      #expect(segmenter.settled >= result.last?.upperBound ?? 0)
      index = end
    }
    return result + segmenter.finish()
  }

  static let rules = SegmentRules(padding: 5, shortestSpeech: 10, shortestSilence: 30)

  @Test(arguments: [0.0001, 0.001, 0.01] as [Float])
  func burstsAreFoundOverAnyFloor(floor: Float) throws {
    let sound = recording(seconds: 6, speech: [(1, 2), (3.5, 5)], floor: floor)
    let found = segments(try frames(sound), Self.rules)
    #expect(found.count == 2)
    for (range, truth) in zip(found, [(95, 205), (345, 505)]) {
      #expect(abs(range.lowerBound - truth.0) <= 2 && abs(range.upperBound - truth.1) <= 2)
    }
  }

  @Test func changingFloorIsFollowed() throws {
    var sound = recording(seconds: 40, speech: [(5, 6), (30, 31)], floor: 0.0005)
    for (index, value) in noise(sound.count, seed: 77).enumerated() where index > sound.count / 2 {
      sound[index] += value * 0.02
    }
    let found = segments(try frames(sound), Self.rules)
    // The step itself may count for a moment, the noise after it must not.
    #expect(found.contains { abs($0.lowerBound - 495) <= 2 && abs($0.upperBound - 605) <= 2 })
    #expect(found.contains { abs($0.lowerBound - 2995) <= 2 && abs($0.upperBound - 3105) <= 2 })
    #expect(found.reduce(0) { $0 + $1.count } < 900)
  }

  @Test func silenceHoldsNoSpeech() throws {
    for sound in [
      recording(seconds: 20, speech: []), [Float](repeating: 0, count: 100_000), [], [0, 0],
      noise(48_000), noise(48_000).map { $0 / 32768 },
    ] {
      #expect(try frames(sound).allSatisfy { !$0.isSpeech })
      #expect(try frames(sound).count == (sound.count + 159) / 160)
    }
  }

  @Test func clicksAreNotSpeech() throws {
    let sound = recording(seconds: 5, speech: [(1, 1.02), (2, 2.5), (4, 4.03)])
    let found = segments(try frames(sound), Self.rules)
    #expect(found.count == 1)
    #expect(abs((found.first?.lowerBound ?? 0) - 195) <= 2)
  }

  @Test func cuttingChangesNothing() throws {
    let sound = recording(seconds: 30, speech: [(1, 2), (2.4, 5), (11, 18), (28, 30)])
    let whole = try frames(sound)
    for seed in 1...4 as ClosedRange<UInt64> {
      #expect(try frames(sound, cuts: seed) == whole)
    }
    let rules = SegmentRules(padding: 20, shortestSpeech: 10, shortestSilence: 30, longest: 200)
    let expected = segments(whole, rules)
    for step in [1, 7, 100] { #expect(segments(whole, rules, by: step) == expected) }
    #expect(expected.allSatisfy { $0.count <= 200 })
  }

  @Test func segmentsNeverOverlapAndCoverTheSpeech() throws {
    for seed in 1...20 as ClosedRange<UInt64> {
      let levels = noise(3000, seed: seed)
      var on = false
      let frames = levels.map { level -> SpeechDetector.Frame in
        if level > 0.93 { on.toggle() }
        return .init(isSpeech: on, level: level)
      }
      for rules in [
        Self.rules,
        SegmentRules(padding: 40, shortestSpeech: 1, shortestSilence: 10),
        SegmentRules(padding: 0, shortestSpeech: 1, shortestSilence: 1),
        SegmentRules(padding: 25, shortestSpeech: 5, shortestSilence: 20, longest: 150),
        SegmentRules(padding: 25, shortestSpeech: 1, shortestSilence: 1, longest: 100),
      ] {
        let found = segments(frames, rules)
        #expect(zip(found, found.dropFirst()).allSatisfy { $0.upperBound <= $1.lowerBound })
        #expect(found.allSatisfy { !$0.isEmpty && $0.upperBound <= frames.count })
        if let longest = rules.longest { #expect(found.allSatisfy { $0.count <= longest }) }
        if rules.shortestSpeech == 1 {
          var covered = [Bool](repeating: false, count: frames.count)
          for range in found { for index in range { covered[index] = true } }
          #expect(frames.indices.allSatisfy { !frames[$0].isSpeech || covered[$0] })
        }
        #expect(segments(frames, rules, by: 1) == found)
      }
    }
  }

  @Test func spanReachesFromFirstToLastSpeech() throws {
    let all = try frames(recording(seconds: 10, speech: [(0.5, 0.52), (2, 3), (6, 7)]))
    var span = SpeechSpan(rules: Self.rules)
    span.process(all)
    #expect(abs((span.start ?? 0) - 195) <= 2)
    #expect(abs(span.end - 705) <= 2)
    var none = SpeechSpan(rules: Self.rules)
    none.process(Array(all[..<150]))
    #expect(none.start == nil && none.earliestStart == 145)
  }
}
