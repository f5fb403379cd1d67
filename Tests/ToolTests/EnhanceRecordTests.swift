import Audio
import Base
import Foundation
import Records
import Safetensors
import TestSupport
import Testing

/// `tts-enhance` on record streams; what all filters do is in `FilterContract` and `FilterContent`.
@Suite(.enabled(if: isBuilt("tts-enhance") && EnhancementModels.small != nil))
struct EnhanceRecordTests {
  let folder: ScratchFolder
  let model: String

  init() throws {
    folder = try ScratchFolder()
    model = try #require(EnhancementModels.small)
  }

  private func enhanced(_ records: [Record], _ arguments: [String] = []) throws -> [Record] {
    try writeStream(records, to: folder.file("in.ttsr"))
    let result = try runTool(
      "tts-enhance", ["--model", model, "--mode", "denoise", folder.file("in.ttsr")] + arguments)
    #expect(result.code == 0, "\(result.errors)")
    return try readStream(result.output)
  }

  /// A recording cut at these samples.
  private func parts(_ samples: [Float], _ cuts: [Int], rate: Int) -> [Record] {
    let bounds = [0] + cuts + [samples.count]
    return zip(bounds, bounds.dropFirst()).enumerated().map { index, bound in
      var record = Record(id: "long")
      record.setAudio([Array(samples[bound.0..<bound.1])], rate: rate)
      record.metadata["mark"] = "\(index)"
      record.text = index == 0 ? "Hello." : nil
      record.part = index
      record.isLastPart = index == cuts.count
      return record
    }
  }

  @Test func audioIsReplacedAndTheRestKept() throws {
    var record = makeRecord(id: "a", seconds: 0.5, rate: 44100, speaker: "anna")
    record.arrays["latents"] = ArrayData([1, 2] as [Float], shape: [1, 2])
    record.arrays["features.layers"] = ArrayData([1, 2] as [Float], shape: [1, 2])
    record.arrays["word_starts"] = ArrayData([0.1] as [Float])
    record.frameRate = 12.5
    let made = try enhanced([record])[0]
    #expect(made.text == "Hello there." && made.speaker == "anna" && made.sampleRate == 44100)
    #expect(made.arrays.keys.sorted() == ["audio", "word_starts"] && made.frameRate == nil)
    let sound = try made.audio()[0]
    #expect(try sound.count == 22050 && sound != record.audio()[0])
    // The same as of a file.
    try folder.write([], to: "empty")
    let writer = try AudioFileWriter(
      path: folder.file("in.wav"), format: .wavFloat, rate: 44100, channels: 1)
    try writer.write(try record.audio())
    try writer.finish()
    let result = try runTool(
      "tts-enhance",
      ["--model", model, "--mode", "denoise", folder.file("in.wav"), "-o", folder.file("out.wav")])
    #expect(result.code == 0, "\(result.errors)")
    #expect(try AudioFile(path: folder.file("out.wav")).readAll()[0] == sound)
    #expect(try enhanced([record], ["--codec", "flac"])[0].audioEncoding == .flac)
    #expect(
      try enhanced([record], ["--codec", "i16", "--rate", "8000"])[0].audioSampleCount == 4000)
  }

  @Test func cuttingChangesNothing() throws {
    let rate = 16000
    let samples = speechLike(seconds: 3.2, rate: rate)
    var whole = Record(id: "long")
    whole.setAudio([samples], rate: rate)
    let expected = try enhanced([whole])[0].audio()[0]
    #expect(expected.count == 141_120)
    let made = try enhanced(parts(samples, [1, 7000, 20_001], rate: rate))
    #expect(partsAreInOrder(made) && made.count == 4)
    #expect(made.map { $0.metadata["mark"] } == ["0", "1", "2", "3"])
    #expect(made.map(\.text) == ["Hello.", nil, nil, nil])
    #expect(try joined(made, id: "long") == expected)
    // Each part has the sound that it had.
    #expect(try made.map { try $0.audio()[0].count } == [2, 19_291, 35_834, 85_993])
  }

  @Test func aRateMayMakePartsTooLarge() throws {
    let made = try enhanced([makeRecord(id: "a", seconds: 8, rate: 8000)], ["--rate", "768000"])
    #expect(made.count == 2 && partsAreInOrder(made))
    #expect(try joined(made, id: "a").count == 8 * 768_000)
    #expect(made.map(\.text) == ["Hello there.", nil])
  }

  /// A part that cannot be used takes nothing with it that came before.
  @Test func whatIsGoodBeforeABadPartIsKept() throws {
    let rate = 44100
    let samples = speechLike(seconds: 2, rate: rate)
    var records = parts(samples, [30_000, 60_000], rate: rate)
    var bad = Array(samples[30_000..<60_000])
    bad[5] = .nan
    records[1].setAudio([bad], rate: rate)
    let made = try enhanced([makeRecord(id: "before")] + records + [makeRecord(id: "after")])
    #expect(made.map(\.id) == ["before", "long", "long", "long", "after"])
    #expect(partsAreInOrder(made))
    #expect(made.map(\.isRejected) == [false, false, true, true, false])
    #expect(try made[1].audio()[0].count == 30_000)
    #expect(made[2].rejections == ["tts-enhance: sample 5 is not a finite number"])
    // Untouched, but for the reason.
    #expect(made[3].arrays["audio"] == records[2].arrays["audio"] && made[3].isLastPart)
    // One that another tool rejected.
    records = parts(samples, [30_000, 60_000], rate: rate)
    records[1].reject("tts-other: no good")
    let passed = try enhanced(records)
    #expect(passed.map(\.isRejected) == [false, true, true] && partsAreInOrder(passed))
    #expect(passed[1].rejections == ["tts-other: no good"])
    #expect(try passed[0].audio()[0].count == 30_000)
    // All of it may be refused.
    let strict = try runTool(
      "tts-enhance",
      ["--model", model, "--mode", "denoise", "--on-error", "fail", folder.file("in.ttsr")])
    #expect(strict.code == 0)
  }

  @Test func recordsThatCannotBeEnhancedAreMarked() throws {
    var other = makeRecord(id: "other", seconds: 1)
    other.metadata["sample_rate"] = "7"
    let made = try enhanced([makeRecord(id: "empty", seconds: 0), other, makeRecord(id: "good")])
    #expect(made.map(\.isRejected) == [true, true, false])
    #expect(made[0].rejections == ["tts-enhance: the audio is empty"])
    var parts = makeParts(id: "p", parts: 2)
    parts[1].setAudio([[0, 0.5]], rate: 8000)
    #expect(try enhanced(parts).map(\.isRejected) == [false, true])
  }

  /// What has no effect is no part of the stage; what has is.
  @Test func theStageNamesWhatCounts() throws {
    func id(_ arguments: String...) throws -> String {
      let result = try runTool("tts-enhance", ["--model", model, "--stage-id"] + arguments)
      #expect(result.code == 0, "\(result.errors)")
      return result.text
    }
    let plain = try id("--mode", "denoise")
    #expect(try id("--mode", "denoise", "--nfe", "3", "--seed", "4", "-T", "2") == plain)
    #expect(try id("--mode", "denoise", "--rate", "16000") != plain)
    let enhance = try id()
    #expect(enhance != plain)
    for arguments in [
      ["--nfe", "32"], ["--seed", "1"], ["--tau", "0.4"], ["--lambd", "0"], ["--codec", "i16"],
    ] {
      let result = try runTool("tts-enhance", ["--model", model, "--stage-id"] + arguments)
      #expect(result.text != enhance)
    }
  }
}
