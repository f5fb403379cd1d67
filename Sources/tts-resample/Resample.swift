public import ArgumentParser
public import AudioRecords
import Filters

/// `tts-resample`: the audio of records at another rate, as mono, at a given loudness.
@main
struct Resample: RecordFilter {
  static let tool = ToolDescription(
    name: "tts-resample",
    abstract: "Change sample rate, channels, loudness and storage of the audio in records.",
    examples: [
      "tts-resample --rate 24000 in.ttsr -o out.ttsr",
      "tts-import wavs/ | tts-resample --rate 24000 --codec flac | tts-vad -o speech.ttsr",
    ],
    discussion: """
      Channels become mono by their mean, before the rate changes. The parts of a long recording are \
      resampled as one.
      """)

  @Option(help: ArgumentHelp("New sample rate.", valueName: "hz"))
  var rate: Int = 24000

  @Option(
    help: ArgumentHelp("Mean of the channels, or all of them: mono or keep.", valueName: "what"))
  var channels: Channels = .mono

  @Option(
    help: ArgumentHelp(
      "sinc (libsamplerate's best) or reference (the filter that Pocket TTS itself computes).",
      valueName: "name"))
  var filter: Filter = .sinc

  @Option(
    // Every LUFS value begins with a minus sign.
    parsing: .unconditional,
    help: ArgumentHelp(
      """
      Bring each recording to this integrated loudness (ITU-R BS.1770), less where its peak would pass \
      full scale. Not for recordings in several parts.
      """, valueName: "lufs"))
  var loudness: Double?

  @Option(
    help: ArgumentHelp(
      "Store samples as pcm (float32), i16, or flac (16 bits, half of i16).", valueName: "name"))
  var codec: SampleCodec = .pcm

  @OptionGroup var stream: StreamOptions

  enum Channels: String, ExpressibleByArgument, CaseIterable { case mono, keep }
  enum Filter: String, ExpressibleByArgument, CaseIterable { case sinc, reference }

  func validate() throws {
    guard (1000...768_000).contains(rate) else {
      throw ValidationError("--rate must be between 1000 and 768000.")
    }
    if let loudness {
      guard (-70...0).contains(loudness) else {
        throw ValidationError("--loudness must be between -70 and 0 LUFS.")
      }
      guard rate >= 8000 else {
        throw ValidationError("--loudness needs a --rate of at least 8000.")
      }
    }
  }

  func stage() -> StageParameters {
    StageParameters([
      "rate": "\(rate)", "channels": channels.rawValue, "filter": filter.rawValue,
      "loudness": loudness.map { "\($0)" } ?? "keep", "codec": codec.rawValue,
    ])
  }

  func makeWorker(_ run: ToolRun) -> ResampleWorker {
    ResampleWorker(
      rate: rate, toMono: channels == .mono, useSinc: filter == .sinc, loudness: loudness,
      codec: codec)
  }
}

extension SampleCodec: ExpressibleByArgument {}
