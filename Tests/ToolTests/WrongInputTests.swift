import Base
import Foundation
import Safetensors
import TestSupport
import Testing

@testable import Records

/// Input that is wrong, through the programs: one line on stderr, the right code, nothing that looks
/// finished. What all filters do with damaged streams is in `FilterContract`.
@Suite(.enabled(if: hasFixture("PocketTTS/lsd/config.yaml"))) struct WrongInputTests {
  let folder: ScratchFolder
  let model = fixture("PocketTTS/lsd")

  init() throws { folder = try ScratchFolder() }

  /// Runs a tool in the scratch folder and holds it to the contract of a failure.
  private func fails(
    _ code: Int32, _ words: String..., tool: String, _ arguments: [String],
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let before = try folder.names()
    let (result, peak) = try runMeasured(
      tool, arguments, directory: folder.path, timeLimit: 60)
    let comment: Comment = "\(tool) \(arguments.joined(separator: " ")): \(result.errors)"
    #expect(result.code == code, comment, sourceLocation: sourceLocation)
    #expect(
      result.errors.hasPrefix("\(tool): ") && result.errors.split(separator: "\n").count == 1,
      comment, sourceLocation: sourceLocation)
    for word in words {
      #expect(result.errors.contains(word), comment, sourceLocation: sourceLocation)
    }
    #expect(try folder.names() == before, comment, sourceLocation: sourceLocation)
    #expect(peak < 256 << 20, comment, sourceLocation: sourceLocation)
    // What left on a pipe ends in the failure, or is no output at all.
    if !result.output.isEmpty {
      #expect(sourceLocation: sourceLocation) {
        try readStream(result.output)
      } throws: { ($0 as? Failure)?.kind.rawValue == code }
    }
  }

  // MARK: Recordings

  @Test func textIsNoRecording() throws {
    try folder.write("These are words, not sound.\n", to: "text.wav")
    try fails(65, "text.wav: not an audio file", tool: "tts-import", ["text.wav"])
    try fails(65, "text.wav: not", tool: "tts-import", ["text.wav", "-o", "out.ttsr"])
    try fails(65, "text.wav: not an audio file", tool: "tts-synth", voice("text.wav"))
    try fails(65, "text.wav: not", tool: "tts-synth", voice("text.wav") + ["-o", "out.wav"])
  }

  private func voice(_ file: String) -> [String] {
    ["--model", model, "--text", "Hi.", "--max-frames", "3", "--voice", file]
  }

  @Test func voicesThatCannotBeUsedAreRefused() throws {
    let rate = 8000
    let sound = speechLike(seconds: 1, rate: rate)
    let whole = wave([sound], rate: rate)
    try folder.write(wave([sound], rate: rate, claiming: 100_000), to: "cut.wav")
    try folder.write(wave([[]], rate: rate), to: "empty.wav")
    try folder.write(
      wave([[Float](repeating: 0.1, count: 301 * rate)], rate: rate), to: "long.wav")
    // 32-bit floating point, a sample of which is no number.
    var floats = whole
    floats[20] = 3
    floats[34] = 32
    floats.replaceSubrange(28..<34, with: [0, 125, 0, 0, 4, 0])
    floats.replaceSubrange(44..<48, with: [0, 0, 0xC0, 0x7F])
    try folder.write(floats, to: "nan.wav")
    try folder.write([], to: "nothing.wav")
    try fails(65, "cut.wav: the audio is cut short", tool: "tts-synth", voice("cut.wav"))
    try fails(65, "empty.wav: the voice recording is empty", tool: "tts-synth", voice("empty.wav"))
    try fails(65, "long.wav", "longer than 5 minutes", tool: "tts-synth", voice("long.wav"))
    try fails(65, "nan.wav: sample 0 is not", tool: "tts-synth", voice("nan.wav"))
    try fails(65, "nothing.wav: the file holds no bytes", tool: "tts-synth", voice("nothing.wav"))
    try fails(66, "missing.wav: no such file", tool: "tts-synth", voice("missing.wav"))
    try folder.write(whole, to: "good.wav")
    #expect(try runTool("tts-synth", voice("good.wav"), directory: folder.path).code == 0)
  }

  @Test func nothingToSayIsAUsageError() throws {
    for text in ["", " ", "\n\t"] {
      let result = try runTool("tts-synth", ["--model", model, "--text", text])
      #expect(result.code == 64 && result.output.isEmpty)
    }
  }

  @Test func overflowingAudioIsRejected() throws {
    var record = Record(id: "loud")
    record.setAudio([[Float](repeating: 3e38, count: 24000)], rate: 24000)
    try writeStream([record], to: folder.file("in.ttsr"))
    let result = try runTool("tts-mimi-encode", ["--model", model, folder.file("in.ttsr")])
    #expect(result.code == 0)
    let made = try readStream(result.output)
    #expect(made[0].isRejected && made[0].arrays["latents"] == nil, "\(made[0].rejections)")
  }

  // MARK: Streams

  /// Commands that read a stream, the input's name being IN; what they make is called `out`.
  private static let readers = [
    "tts-shard IN -o out-%d.ttsr", "tts-shard IN --shuffle 1 -o out-%d.ttsr",
    "tts-tokenize train IN -o out", "tts-synth --model MODEL IN -o out",
    "tts-stream view IN", "tts-stream view --audio out IN", "tts-stream cat IN",
    "tts-stream cat -o out IN", "tts-stream head -n 100 IN", "tts-stream count IN",
    "tts-stream stat IN", "tts-stream check IN", "tts-stream check --quick IN",
    "tts-stream digest IN", "tts-stream diff good.ttsr IN", "tts-stream save -o out IN",
    "tts-stream export --format files -o out IN",
    "tts-stream export --format webdataset -o out IN",
  ]

  private func command(_ line: String, _ input: String) -> (tool: String, arguments: [String]) {
    let words = line.split(separator: " ").map { word in
      word == "IN" ? input : word == "MODEL" ? model : String(word)
    }
    return (words[0], Array(words.dropFirst()))
  }

  @Test(arguments: readers) func damagedStreamsAreRefused(_ line: String) throws {
    try writeStream((0..<3).map { makeRecord(id: "r\($0)") }, to: folder.file("good.ttsr"))
    let good = try folder.read("good.ttsr")
    try folder.write(Array(good[..<(good.count * 2 / 3)]), to: "cut.ttsr")
    var bytes = good
    bytes[bytes.count / 2] ^= 4
    try folder.write(bytes, to: "flipped.ttsr")
    try folder.write(newer(good), to: "newer.ttsr")
    try folder.write("no stream\n", to: "text.ttsr")
    // A block that claims 2^60 bytes, after the header.
    let header = 8 + Int(good[4]) + Int(good[5]) << 8
    let claim: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0xE4, 0, 0, 0, 0, 0, 0, 0, 0x10, 1, 0, 0]
    try folder.write(Array(good[..<header]) + claim + [0, 0, 0, 0], to: "claims.ttsr")
    // These look at the end of the file only, where a bit of a record does not show.
    let readsAll = !["count", "stat", "--quick", "digest"].contains { line.contains($0) }
    for (name, code) in [
      ("cut", 65), ("flipped", 65), ("newer", 76), ("text", 65), ("claims", 65),
    ] as [(String, Int32)] where readsAll || name != "flipped" {
      let (tool, arguments) = command(line, name + ".ttsr")
      try fails(code, name + ".ttsr: ", tool: tool, arguments)
    }
    let (tool, arguments) = command(line, "missing.ttsr")
    try fails(66, "missing.ttsr: ", tool: tool, arguments)
  }

  /// The stream under a header of a later version of the format.
  private func newer(_ bytes: [UInt8]) -> [UInt8] {
    let end = 8 + Int(bytes[4]) + Int(bytes[5]) << 8
    var content = Array(bytes[8..<end - 4])
    content[4] = 2
    let sum = content.withUnsafeBytes { checksum($0) }
    return Array(bytes[..<8]) + content + withUnsafeBytes(of: sum) { Array($0) } + bytes[end...]
  }

  @Test func aNewerFileIsNotRecovered() throws {
    try writeStream([makeRecord(id: "a")], to: folder.file("good.ttsr"))
    try folder.write(newer(folder.read("good.ttsr")), to: "newer.ttsr")
    try fails(76, "version 2", tool: "tts-stream", ["recover", "newer.ttsr", "-o", "out.ttsr"])
  }

  @Test(arguments: readers.filter { !$0.contains("--quick") && !$0.contains("diff") })
  func aKilledUpstreamFailsThePipeUnderPlainShell(_ line: String) throws {
    try writeStream((0..<3).map { makeRecord(id: "r\($0)") }, to: folder.file("good.ttsr"))
    let size = try folder.read("good.ttsr").count
    let before = try folder.names()
    let (tool, arguments) = command(line, "-")
    let words = ([tool] + arguments).map { "'\($0)'" }.joined(separator: " ")
    // The writer kills itself in the middle of the stream.
    let writer = "{ head -c \(size / 2) good.ttsr; sh -c 'kill -9 $PPID'; :; }"
    let result = try runShell("\(writer) | \(words) > /dev/null", directory: folder.path)
    #expect(result.code == 74, "\(result.errors)")
    let errors = result.errors.split(separator: "\n").filter { $0.hasPrefix("tts-") }
    #expect(errors.count == 1 && errors.allSatisfy { $0.hasPrefix("\(tool): ") })
    #expect(try folder.names() == before)
  }

  // MARK: Models

  /// A copy of the small model with one file changed.
  private func changedModel(_ file: String, _ change: ([UInt8]) -> [UInt8]) throws -> String {
    for name in ["config.yaml", "tokenizer.json", "model.safetensors"] {
      let bytes = try readFile("\(model)/\(name)")
      try folder.write(name == file ? change(bytes) : bytes, to: "model/\(name)")
    }
    return "model"
  }

  private static let users = [
    "tts-synth --model M --text Hi.", "tts-synth --model M --text Hi. -o out",
    "tts-mimi-encode --model M in.ttsr -o out", "tts-model info M", "tts-model convert M -o out",
    "tts-train --model M --train in.ttsr --run out",
  ]

  private func refused(_ code: Int32, _ word: String, by lines: [String]) throws {
    try writeStream([makeRecord(id: "a")], to: folder.file("in.ttsr"))
    for line in lines {
      let words = line.split(separator: " ").map {
        $0.replacingOccurrences(of: "M", with: "model")
      }
      try fails(code, word, tool: words[0], Array(words.dropFirst()))
    }
  }

  private func safetensors(_ header: String, length: UInt64? = nil) -> [UInt8] {
    let length = length ?? UInt64(header.utf8.count)
    return withUnsafeBytes(of: length.littleEndian) { Array($0) } + Array(header.utf8)
      + [UInt8](repeating: 0, count: 8)
  }

  @Test(
    arguments: [
      (
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}"#,
        nil, "overlaps"
      ),
      (#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}"#, nil, "past the end"),
      ("{}", 1 << 60, "claims"),
    ] as [(String, UInt64?, String)])
  func wrongWeightsAreRefused(_ header: String, length: UInt64?, word: String) throws {
    let bytes = safetensors(header, length: length)
    _ = try changedModel("model.safetensors") { _ in bytes }
    try refused(65, word, by: Self.users)
    try folder.write(bytes, to: "voice.safetensors")
    try fails(65, word, tool: "tts-synth", voice("voice.safetensors"))
  }

  @Test func anUnknownKeyIsNamed() throws {
    _ = try changedModel("config.yaml") { $0 + Array("surprise: 1\n".utf8) }
    try refused(
      78, "model/config.yaml: unknown key 'surprise'",
      by: Self.users + [
        "tts-tokenize --model M in.ttsr -o out",
        "tts-model init --config M/config.yaml --tokenizer M/tokenizer.json -o out",
      ])
  }

  @Test func aTokenizerOfAnotherSizeIsRefused() throws {
    _ = try changedModel("config.yaml") { bytes in
      let text = String(decoding: bytes, as: UTF8.self)
      return Array(text.replacingOccurrences(of: "n_bins: 400", with: "n_bins: 77").utf8)
    }
    try refused(
      78, "model/tokenizer.json: the tokenizer has 400 pieces",
      by: [
        "tts-tokenize --model M in.ttsr -o out",
        "tts-model init --config M/config.yaml --tokenizer M/tokenizer.json -o out",
      ])
    try refused(78, "model/", by: ["tts-synth --model M --text Hi. -o out", Self.users[5]])
  }
}
