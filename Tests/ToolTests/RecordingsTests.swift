import Audio
import Foundation
import Records
import Safetensors
import TestSupport
import Testing

/// Recordings as they come, from the file to latents and as a voice.
@Suite(.enabled(if: hasFixture("PocketTTS/lsd/config.yaml"))) struct RecordingsTests {
  let folder: ScratchFolder
  let model = fixture("PocketTTS/lsd")

  init() throws { folder = try ScratchFolder() }

  private func write(
    _ name: String, _ format: AudioFileWriter.Format, rate: Int, channels: Int, seconds: Double,
    _ piece: [Float]
  ) throws {
    let writer = try AudioFileWriter(
      path: folder.file(name), format: format, rate: rate, channels: channels)
    var rest = Int(seconds * Double(rate))
    while rest > 0 {
      let part = Array(piece.prefix(rest))
      try writer.write([[Float]](repeating: part, count: channels))
      rest -= part.count
    }
    try writer.finish()
  }

  private static func suffix(_ format: AudioFileWriter.Format) -> String {
    switch format {
    case .wav16, .wav24, .wavFloat: "wav"
    case .flac: "flac"
    case .vorbis: "ogg"
    case .opus: "opus"
    case .mp3: "mp3"
    }
  }

  /// The rates of a format among those that recordings have.
  private static func rates(_ format: AudioFileWriter.Format) -> [Int] {
    let all = [8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000]
    return format == .opus ? [8000, 12000, 16000, 24000, 48000] : all
  }

  private func pipe(_ more: String = "") throws -> [Record] {
    let result = try runShell(
      """
      tts-import --format files in | tts-resample -u --rate 24000 | tts-vad -u |
        tts-mimi-encode --model '\(model)' \(more)
      """, directory: folder.path)
    #expect(result.code == 0, "\(result.errors)")
    return try readStream(result.output)
  }

  @Test func everyFormatRateAndChannel() throws {
    try folder.write("", to: "in/notes.md")
    var files: [String] = []
    for format in AudioFileWriter.Format.allCases {
      for rate in Self.rates(format) {
        for channels in [1, 2] {
          let name = "\(format)-\(rate)-\(channels)"
          files.append("in/\(name).\(Self.suffix(format))")
          try write(
            files[files.count - 1], format, rate: rate, channels: channels, seconds: 2,
            speechLike(seconds: 2, rate: rate))
        }
      }
    }
    let records = try pipe()
    #expect(records.count == files.count && records.count > 100)
    for record in records {
      #expect(!record.isRejected, "\(record.id): \(record.rejections)")
      let frames = record.arrays["latents"]?.shape.first ?? 0
      // Two seconds, less what the detector trims.
      #expect((15...27).contains(frames), "\(record.id): \(frames) frames")
    }
    for file in files where file.contains("44100-2") || file.contains("8000-1") {
      let result = try runTool(
        "tts-synth", ["--model", model, "--text", "Hi.", "--max-frames", "3", "--voice", file],
        directory: folder.path)
      #expect(result.code == 0 && result.output.count == 44 + 2 * 3 * 1920, "\(file)")
      #expect(result.errors.isEmpty, "\(result.errors)")
    }
  }

  @Test func silenceAndNothing() throws {
    try folder.write("", to: "in/notes.md")
    for format in AudioFileWriter.Format.allCases {
      for (name, seconds) in [("silence", 2.0), ("nothing", 0.0)] {
        try write(
          "in/\(name)-\(format).\(Self.suffix(format))", format, rate: 24000, channels: 2,
          seconds: seconds, [Float](repeating: 0, count: 48000))
      }
    }
    let result = try runShell(
      """
      tts-import --max-rejected 50% in | tts-resample -u | tts-vad -u --max-rejected 100% |
        tts-mimi-encode --model '\(model)'
      """, directory: folder.path)
    #expect(result.code == 0, "\(result.errors)")
    let records = try readStream(result.output)
    #expect(records.count == 2 * AudioFileWriter.Format.allCases.count)
    for record in records {
      let reason = record.rejections.first ?? ""
      let isKnown =
        reason == "tts-vad: no speech was found"
        || record.id.hasPrefix("nothing") && reason.hasPrefix("tts-import: ")
      #expect(isKnown, "\(record.id): \(reason)")
      #expect(record.arrays["latents"] == nil)
    }
  }

  /// Three hours through every stage, each within a bound that does not know the length.
  @Test(.enabled(if: runsSlowTests), arguments: [(44100, 2), (24000, 1)])
  func threeHours(rate: Int, channels: Int) throws {
    let minute = speechLike(seconds: 60, rate: rate)
    try write(
      "long.flac", .flac, rate: rate,
      channels: channels, seconds: 3 * 3600, minute)
    var input = folder.file("long.flac")
    for (tool, arguments) in [
      ("tts-import", ["--format", "files"]), ("tts-resample", ["--rate", "24000"]), ("tts-vad", []),
      ("tts-mimi-encode", ["--model", model]),
    ] {
      let output = folder.file("\(tool).ttsr")
      let (result, peak) = try runMeasured(
        tool, arguments + ["-u", "-T", "2", input, "-o", output], timeLimit: 900)
      #expect(result.code == 0, "\(result.errors)")
      #expect(result.errors.isEmpty, "\(result.errors)")
      print("\(tool): \(peak >> 20) MiB at most, \(rate) Hz, \(channels) channels")
      #expect(peak < 640 << 20)
      try FileManager.default.removeItem(atPath: input)
      input = output
    }
    let tally = try RecordFile(path: input).tally
    #expect(abs(tally.latentSeconds - 3 * 3600) < 5)
  }
}
