import Records
import Safetensors
import TestSupport
import Testing

/// Peak memory of every tool over streams of 200, 1,000 and 2,000 records: once what is bounded is
/// full, it does not grow. Filters are held to this in ordinary tests too (`FilterContent`).
@Suite(.enabled(if: runsSlowTests), .serialized) struct MemoryTests {
  private static let counts = [200, 1000, 2000]

  /// Streams of so many records: 1 s of audio each, 5 s of latents each; and lists for import.
  private final class Inputs: Sendable {
    let folder: ScratchFolder

    init() throws {
      folder = try ScratchFolder()
      // Shards get a manifest beside them, which would disown the input.
      try folder.write("", to: "out/empty")
      let sound = makeRecord(id: "r", seconds: 1)
      var speech = makeTextRecord(id: "r")
      speech.frameRate = 12.5
      speech.speaker = "anna"
      speech.arrays["latents"] = ArrayData(
        speechLike(seconds: 1, rate: 62 * 32), shape: [62, 32])
      speech.arrays["tokens"] = ArrayData([1, 2, 3] as [Int32])
      try folder.write(wave([speechLike(seconds: 1, rate: 24000)], rate: 24000), to: "in.wav")
      for count in MemoryTests.counts {
        func records(_ record: Record) -> some Sequence<Record> {
          (0..<count).lazy.map { index in
            var copy = record
            copy.id = "r\(index)"
            return copy
          }
        }
        try writeStream(records(sound), to: folder.file("audio-\(count).ttsr"))
        try writeStream(records(speech), to: folder.file("latents-\(count).ttsr"))
        try writeStream(records(makeTextRecord(id: "t")), to: folder.file("text-\(count).ttsr"))
        let lines = (0..<count).map { #"{"id":"r\#($0)","path":"in.wav","text":"Hello there."}"# }
        try folder.write(lines.joined(separator: "\n"), to: "list-\(count).jsonl")
      }
    }
  }
  private static let inputs = Result { try Inputs() }

  @Test(arguments: [
    "tts-import list-N.jsonl -o out/file", "tts-resample --rate 16000 audio-N.ttsr -o out/file",
    "tts-resample --filter reference --rate 16000 --codec flac audio-N.ttsr -o out/file",
    "tts-vad audio-N.ttsr -o out/file", "tts-vad --mode split audio-N.ttsr -o out/file",
    "tts-tokenize --model MODEL audio-N.ttsr -o out/file",
    "tts-mimi-encode --model MODEL audio-N.ttsr -o out/file",
    "tts-mimi-encode --decode --model MODEL latents-N.ttsr -o out/file",
    "tts-enhance --mode denoise --model DENOISER audio-N.ttsr -o out/file",
    "tts-synth --model MODEL --max-frames 3 text-N.ttsr -o out/file",
    "tts-synth --model MODEL --max-frames 3 --format ttsr text-N.ttsr -o out/file",
    "tts-eval --model MODEL --max-frames 3 audio-N.ttsr",
    "tts-shard audio-N.ttsr -o out/%d.ttsr", "tts-shard audio-N.ttsr --shuffle 1 -o out/%d.ttsr",
    "tts-train -q --model TRAINED --train latents-N.ttsr --run run-N --steps 20",
    "tts-stream view audio-N.ttsr", "tts-stream cat audio-N.ttsr -o out/file",
    "tts-stream save audio-N.ttsr -o out/file", "tts-stream check audio-N.ttsr",
    "tts-stream stat audio-N.ttsr", "tts-stream diff audio-N.ttsr audio-N.ttsr",
    "tts-stream recover audio-N.ttsr -o out/file",
    "tts-stream export --format webdataset audio-N.ttsr -o out/file",
    "tts-stream export --format files audio-N.ttsr -o out/files",
  ])
  func memoryIsFlat(_ line: String) throws {
    let folder = try Self.inputs.get().folder
    let peaks = try Self.counts.map { count in
      let words = line.replacing("-N", with: "-\(count)")
        .replacing("MODEL", with: fixture("PocketTTS/lsd"))
        .replacing("DENOISER", with: EnhancementModels.denoiser ?? "")
        .replacing("TRAINED", with: fixture("PocketTTS/lsd_train"))
        .split(separator: " ").map(String.init)
      let (result, peak) = try runMeasured(
        words[0], Array(words.dropFirst()) + ["-T", "2"], directory: folder.path, timeLimit: 300)
      #expect(result.code == 0, "\(result.errors)")
      return peak >> 20
    }
    print("memory: \(peaks.map { "\($0)" }.joined(separator: ", ")) MiB: \(line)")
    // 1,000 more records of 96 kB would be 96 MB.
    #expect(peaks[2] - peaks[1] < 24)
  }
}
