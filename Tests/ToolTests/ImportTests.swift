import Foundation
import Records
import Safetensors
import TestSupport
import Testing

@Suite struct ImportTests {
  let folder: ScratchFolder
  init() throws { folder = try ScratchFolder() }

  private func imported(_ arguments: [String]) throws -> [Record] {
    let result = try runTool("tts-import", arguments)
    #expect(result.code == 0, "\(result.errors)")
    return try readStream(result.output)
  }

  private func sound(_ seconds: Double = 0.3, rate: Int = 16000) -> [Float] {
    speechLike(seconds: seconds, rate: rate)
  }

  @Test func foldersAreSearched() throws {
    try folder.write(wave([sound()], rate: 16000), to: "in/b.wav")
    try folder.write(wave([sound(rate: 8000), sound(rate: 8000)], rate: 8000), to: "in/a/x y.wav")
    try folder.write(" Hello\nthere. ", to: "in/b.txt")
    try folder.write("This is no sound.", to: "in/c.wav")
    try folder.write(wave([[]], rate: 16000), to: "in/d.wav")
    try folder.write(wave([sound()], rate: 16000, claiming: 100_000), to: "in/e.wav")
    try folder.write("left out", to: "in/notes.md")
    let records = try imported([folder.file("in"), "--speaker-from", "folder", "--language", "en"])
    #expect(records.map(\.id) == ["a/x%20y", "b", "c", "d", "e"])
    #expect(records[0].speaker == "a" && records[0].sampleRate == 8000)
    #expect(try records[0].audio().count == 2)
    #expect(records[1].text == "Hello there." && records[1].language == "en")
    #expect(try records[1].audio()[0].count == 4800)
    #expect(records[1].metadata["source"] == "b.wav")
    #expect(records[1].metadata["source_sha256"]?.count == 64)
    #expect(records.map(\.isRejected) == [false, false, true, true, true])
    #expect(records[3].rejections.first?.contains("audio is empty") == true)
    #expect(records[4].rejections.first?.contains("cut short") == true)
  }

  @Test func wrongOperandsEndTheRun() throws {
    try folder.write("This is no sound.", to: "text.wav")
    try folder.write(wave([[]], rate: 16000), to: "empty.wav")
    #expect(try runTool("tts-import", [folder.file("text.wav")]).code == 65)
    #expect(try runTool("tts-import", [folder.file("missing.wav")]).code == 66)
    #expect(try runTool("tts-import", []).code == 64)
    #expect(try imported([folder.file("empty.wav")]).map(\.isRejected) == [true])
  }

  @Test func ljSpeechTakesTheNormalisedText() throws {
    try folder.write("one|In 1950.|In nineteen fifty.\ntwo|Yes.|\nthree||\n", to: "lj/metadata.csv")
    for name in ["one", "two", "three"] {
      try folder.write(wave([sound()], rate: 22050), to: "lj/wavs/\(name).wav")
    }
    let records = try imported([folder.file("lj")])
    #expect(records.map(\.id) == ["one", "two", "three"])
    #expect(records.map(\.text) == ["In nineteen fifty.", "Yes.", ""])
    #expect(records[2].rejections.first?.contains("transcript is empty") == true)
  }

  @Test func listsNameSpeakers() throws {
    try folder.write("w/a.wav|Ann|Hello.\nw/b|There.\nnonsense\n", to: "list.txt")
    for name in ["a", "b"] { try folder.write(wave([sound()], rate: 16000), to: "w/\(name).wav") }
    let records = try imported([folder.file("list.txt"), "--speaker", "Bob"])
    #expect(records.map(\.id) == ["w/a", "w/b", "list.txt:3"])
    #expect(records.map(\.speaker) == ["Ann", "Bob", nil])
    #expect(records.map(\.isRejected) == [false, false, true])
  }

  @Test func manifestsCutAndAlign() throws {
    let samples = sound(2)
    try folder.write(wave([samples], rate: 16000), to: "long.wav")
    try folder.write(
      """
      {"path":"long.wav","duration":0.5,"transcript":"Hello there.","start":1,\
      "words":[{"word":"Hello","start":0.1,"end":0.2},{"word":"there.","start":null,"end":null}]}
      {"audio_filepath":"long.wav","duration":2,"text":"All.","speaker":"x"}
      {"path":"long.wav","duration":1,"transcript":" "}
      {"path":"long.wav","duration":1,"transcript":"Late.","start":99}
      not json
      """, to: "m.jsonl")
    let records = try imported([folder.file("m.jsonl")])
    #expect(records.map(\.id) == ["long@1", "long", "long", "long@99", "m.jsonl:5"])
    #expect(records.map(\.isRejected) == [false, false, true, true, true])
    #expect(
      records[0].integer("source_start") == 16000 && records[0].integer("source_end") == 24000)
    #expect(try records[0].audio()[0] == Array(try records[1].audio()[0][16000..<24000]))
    let starts = try #require(try records[0].arrays["word_starts"]?.floats())
    #expect(starts[0] == 0.1 && starts[1].isNaN)
    #expect(records[1].speaker == "x")
  }

  @Test func longRecordingsAreParts() throws {
    let rate = 8000
    try folder.write(wave([sound(150, rate: rate)], rate: rate), to: "long.wav")
    let records = try imported([folder.file("long.wav")])
    #expect(records.map(\.part) == [0, 1, 2])
    #expect(records.map(\.isLastPart) == [false, false, true])
    #expect(try records.map { try $0.audio()[0].count } == [480_000, 480_000, 240_000])
    #expect(records.map { $0.integer("source_start") } == [0, 480_000, 960_000])
  }

  @Test func memoryIsFlat() throws {
    func peak(minutes: Int) throws -> Int {
      let samples = [Float](repeating: 0.1, count: minutes * 60 * 8000)
      try folder.write(wave([samples], rate: 8000), to: "long.wav")
      let (result, peak) = try runMeasured(
        "tts-import", ["-T", "1", folder.file("long.wav"), "-o", folder.file("o.ttsr")])
      #expect(result.code == 0, "\(result.errors)")
      return peak
    }
    // The first half hour fills what is bounded; another would be 57 MB.
    let (half, whole) = (try peak(minutes: 30), try peak(minutes: 60))
    #expect(whole < 256 << 20)
    #expect(whole - half < 40 << 20, "\(half >> 20) MiB for 30 minutes, \(whole >> 20) MiB for 60")
  }

  @Test func sharesCoverAll() throws {
    for index in 0..<9 { try folder.write(wave([sound()], rate: 16000), to: "in/\(index).wav") }
    let shares = try (0..<3).map {
      try imported([folder.file("in"), "--shard", "\($0)/3"]).map(\.id)
    }
    #expect(shares.flatMap { $0 }.sorted() == (0..<9).map(String.init))
  }
}
