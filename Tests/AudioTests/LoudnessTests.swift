import Audio
import Base
import Foundation
import Testing

struct LoudnessTests {
  private func measure(_ channels: [[Float]], rate: Int, cuts: UInt64? = nil) throws -> Double? {
    var meter = try LoudnessMeter(rate: rate, channels: channels.count)
    if let cuts {
      for piece in pieces(channels[0], seed: cuts) {
        meter.process(channels.map { Array($0[piece.indices]) })
      }
    } else {
      meter.process(channels)
    }
    return meter.integrated
  }

  @Test(arguments: [8000, 22050, 24000, 44100, 48000])
  func fullScaleToneIsMinusThree(rate: Int) throws {
    // The standard's own calibration: a 997 Hz tone at 0 dB of full scale in one channel.
    let tone = sine(997, rate: rate, count: 3 * rate, amplitude: 1)
    #expect(abs(try #require(try measure([tone], rate: rate)) + 3.01) < 0.05)
    #expect(abs(try #require(try measure([tone, tone], rate: rate))) < 0.05)
  }

  @Test func gatesLeaveSilenceOut() throws {
    // EBU Tech 3341, case 3 and 4: -36, -23, -36 dBFS in both channels is -23.0 LUFS, -72 is nothing.
    let rate = 48000
    func stereo(_ parts: [(Double, Int)]) -> [[Float]] {
      let all = parts.flatMap {
        sine(1000, rate: rate, count: rate * $0.1, amplitude: pow(10, $0.0 / 20))
      }
      return [all, all]
    }
    let three = try measure(stereo([(-36, 10), (-23, 60), (-36, 10)]), rate: rate)
    #expect(abs(try #require(three) + 23) < 0.1)
    let four = try measure(
      stereo([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)]), rate: rate)
    #expect(abs(try #require(four) + 23) < 0.1)
    #expect(try measure([[Float](repeating: 0, count: rate)], rate: rate) == nil)
    #expect(try measure([[]], rate: rate) == nil)
  }

  @Test func cuttingChangesNothing() throws {
    let sound = [noise(100_000), noise(100_000, seed: 3)]
    let whole = try #require(try measure(sound, rate: 22050))
    #expect(abs(try #require(try measure(sound, rate: 22050, cuts: 5)) - whole) < 1e-9)
  }

  @Test func shortRecordingsHaveALoudness() throws {
    let tone = sine(997, rate: 24000, count: 6000, amplitude: 1)
    #expect(abs(try #require(try measure([tone], rate: 24000)) + 3) < 0.5)
    #expect(throws: Failure.self) { _ = try LoudnessMeter(rate: 4000, channels: 1) }
  }

  @Test func gainNeverClips() {
    #expect(loudnessGain(measured: -23, target: -23, peak: 0.5) == 1)
    #expect(abs(loudnessGain(measured: -40, target: -20, peak: 0.05) - 10) < 1e-4)
    #expect(loudnessGain(measured: -40, target: -20, peak: 0.5) == 2)
    #expect(loudnessGain(measured: nil, target: -20, peak: 0.5) == 1)
  }
}
