import Foundation
import Records
import TestSupport
import Testing

@Suite struct ResampleTests {
  let folder: ScratchFolder
  init() throws { folder = try ScratchFolder() }

  private func resampled(_ records: [Record], _ arguments: [String] = []) throws -> [Record] {
    try writeStream(records, to: folder.file("in.ttsr"))
    let result = try runTool("tts-resample", [folder.file("in.ttsr")] + arguments)
    #expect(result.code == 0, "\(result.errors)")
    return try readStream(result.output)
  }

  @Test(arguments: [8000, 16000, 22050, 44100, 48000], ["sinc", "reference"])
  func lengthAndRate(rate: Int, filter: String) throws {
    let made = try resampled(
      [makeRecord(id: "a", seconds: 1.5, rate: rate, channels: 2)], ["--filter", filter])
    #expect(made[0].sampleRate == 24000)
    #expect(try made[0].audio().map(\.count) == [36000])
    #expect(made[0].text == "Hello there.")
  }

  @Test(arguments: ["sinc", "reference"])
  func cuttingChangesNothing(filter: String) throws {
    let whole = makeRecord(id: "a", seconds: 3.1, rate: 44100, text: nil)
    let samples = try whole.audio()[0]
    let cuts = [0, 10, 30_001, 100_000, samples.count]
    let parts = zip(cuts, cuts.dropFirst()).enumerated().map { index, cut in
      var record = Record(id: "a")
      record.setAudio([Array(samples[cut.0..<cut.1])], rate: 44100)
      record.part = index
      record.isLastPart = index == cuts.count - 2
      return record
    }
    let made = try resampled(parts, ["--filter", filter])
    #expect(partsAreInOrder(made))
    #expect(try joined(made, id: "a") == resampled([whole], ["--filter", filter])[0].audio()[0])
  }

  @Test func codecsAndChannels() throws {
    let record = makeRecord(id: "a", seconds: 1, channels: 2)
    let kept = try resampled([record], ["--channels", "keep", "--rate", "24000"])
    #expect(try kept[0].audio() == record.audio())
    #expect(try resampled([record], ["--codec", "i16"])[0].audioEncoding == .integer)
    let flac = try resampled([record], ["--codec", "flac"])
    #expect(flac[0].audioEncoding == .flac && flac[0].audioSampleCount == 24000)
    // FLAC is read again by every tool.
    let back = try resampled(flac)
    let integers = try resampled([record], ["--codec", "i16"])
    #expect(try back[0].audio() == integers[0].audio())
  }

  @Test func loudnessIsReached() throws {
    let record = makeRecord(id: "a", seconds: 3)
    let quiet = try resampled([record], ["--loudness", "-40"])[0].audio()[0]
    let loud = try resampled([record], ["--loudness", "-34"])[0].audio()[0]
    let ratio = zip(loud, quiet).filter { $0.1 != 0 }.map { $0.0 / $0.1 }
    #expect(ratio.allSatisfy { abs($0 - 1.99526) < 1e-3 })
    let parts = try resampled(makeParts(id: "a", parts: 2), ["--loudness", "-30"])
    #expect(parts.allSatisfy { $0.isRejected })
  }

  @Test func wrongOptionsAreUsageErrors() throws {
    for arguments in [
      ["--rate", "0"], ["--rate", "x"], ["--loudness", "5"], ["--codec", "mp3"],
    ] {
      #expect(try runTool("tts-resample", arguments).code == 64)
    }
  }
}
