import Foundation
import Records
import Safetensors
import TestSupport
import Testing

@Suite struct VADTests {
  let folder: ScratchFolder
  init() throws { folder = try ScratchFolder() }

  private let rate = 16000

  private func detected(_ records: [Record], _ arguments: [String] = []) throws -> [Record] {
    try writeStream(records, to: folder.file("in.ttsr"))
    let result = try runTool("tts-vad", [folder.file("in.ttsr")] + arguments)
    #expect(result.code == 0, "\(result.errors)")
    return try readStream(result.output)
  }

  /// Faint noise with speech at the given seconds.
  private func recording(_ seconds: Double, _ speech: [(Double, Double)]) -> [Float] {
    var samples = speechLike(seconds: seconds, rate: rate).map { $0 * 0.001 }
    for (start, end) in speech {
      let first = Int(start * Double(rate))
      for (index, value) in speechLike(seconds: end - start, rate: rate, seed: 7).enumerated() {
        samples[first + index] += value
      }
    }
    return samples
  }

  private func record(_ samples: [Float], id: String = "a", part: Int? = nil, isLast: Bool = true)
    -> Record
  {
    var record = Record(id: id)
    record.setAudio([samples], rate: rate)
    record.part = part
    if part != nil { record.isLastPart = isLast }
    return record
  }

  private func parts(_ samples: [Float], _ cuts: [Int]) -> [Record] {
    let ends = [0] + cuts + [samples.count]
    return zip(ends, ends.dropFirst()).enumerated().map { index, cut in
      record(Array(samples[cut.0..<cut.1]), part: index, isLast: index == cuts.count)
    }
  }

  @Test func trimKeepsTheRecord() throws {
    var input = record(recording(6, [(2, 4)]))
    input.text = "Hello there."
    input.arrays["word_starts"] = ArrayData([2.5, 3] as [Float])
    input.arrays["word_ends"] = ArrayData([2.9, 3.5] as [Float])
    input.setInteger("source_start", 1000)
    input.setInteger("source_end", 1000 + 6 * rate)
    let made = try detected([input])
    #expect(made.count == 1 && made[0].id == "a" && made[0].text == "Hello there.")
    let count = try made[0].audio()[0].count
    #expect(count < 3 * rate && count > rate)
    let start = try #require(made[0].integer("source_start")) - 1000
    #expect(try made[0].audio()[0] == Array(try input.audio()[0][start..<start + count]))
    #expect(made[0].integer("source_end") == 1000 + start + count)
    let word = try #require(try made[0].arrays["word_starts"]?.floats().first)
    #expect(abs(word - (2.5 - Float(start) / Float(rate))) < 1e-4)
  }

  @Test func silenceIsRejected() throws {
    for mode in ["trim", "split"] {
      let silence = [Float](repeating: 0, count: 3 * rate)
      let made = try detected(
        [record(silence)]
          + parts(silence, [rate]).map { part in
            var copy = part
            copy.id = "b"
            return copy
          }, ["--mode", mode])
      #expect(made.map(\.id) == ["a", "b"])
      #expect(made.allSatisfy { $0.isRejected && $0.part == nil })
    }
  }

  @Test(arguments: ["trim", "split"])
  func cuttingChangesNothing(mode: String) throws {
    let samples = recording(40, [(3, 6), (7, 12), (20, 33)])
    let expected = try detected([record(samples)], ["--mode", mode, "--max-length", "5"])
    for cuts in [[1], [16_000, 20_000, 300_001], [5 * rate, 30 * rate]] {
      let made = try detected(parts(samples, cuts), ["--mode", mode, "--max-length", "5"])
      #expect(made.map(\.id) == expected.map(\.id))
      #expect(try made.map { try $0.audio() } == expected.map { try $0.audio() })
      #expect(partsAreInOrder(made))
    }
    if mode == "split" { #expect(expected.count > 3) }
  }

  @Test func splitNamesPieces() throws {
    var input = record(recording(12, [(2, 4), (8, 10)]))
    input.text = "Hello there."
    input.arrays["word_starts"] = ArrayData([2.5, 8.5] as [Float])
    input.arrays["word_ends"] = ArrayData([2.9, 8.9] as [Float])
    input.arrays["tokens"] = ArrayData([1, 2] as [Int32])
    let made = try detected([input], ["--mode", "split", "--min-silence", "1000"])
    #expect(made.map(\.id) == ["a/0001", "a/0002"])
    #expect(made.allSatisfy { $0.metadata["parent"] == "a" && $0.arrays["tokens"] == nil })
    #expect(made.map(\.text) == ["Hello", "there."])
    input.arrays["word_starts"] = nil
    let bare = try detected([input], ["--mode", "split", "--min-silence", "1000"])
    #expect(bare.allSatisfy { $0.text == nil })
  }

  @Test func aRejectedPartKeepsItsPlace() throws {
    var input = parts(recording(9, [(3, 8)]), [3 * rate, 6 * rate])
    input[2].reject("tts-other: no good")
    for mode in ["trim", "split"] {
      let made = try detected(input, ["--mode", mode])
      #expect(partsAreInOrder(made))
      #expect(made.last?.isRejected == true)
    }
  }

  @Test func wrongOptionsAreUsageErrors() throws {
    for arguments in [
      ["--threshold", "0"], ["--pad", "-1"], ["--max-length", "90"], ["--mode", "x"],
    ] {
      #expect(try runTool("tts-vad", arguments).code == 64)
    }
  }
}
