import ArgumentParser
import Audio
import AudioRecords
import Filters

/// `tts-vad`: recordings without the silence around speech, or a record for each piece of speech.
@main
struct VAD: RecordFilter {
  static let tool = ToolDescription(
    name: "tts-vad",
    abstract: "Remove what is not speech from recordings, or cut them into utterances.",
    examples: [
      "tts-vad in.ttsr -o trimmed.ttsr",
      "tts-import talks/ | tts-vad --mode split --max-length 20 -o utterances.ttsr",
    ],
    discussion: """
      Speech is what rises over the noise floor of the 8 seconds around. trim removes what lies before \
      the first and after the last speech. split makes a record of each piece of speech, ID/0001 and \
      so on; it keeps text only where word times tell which words a piece holds. Recordings without \
      speech are rejected.
      """)

  @Option(help: ArgumentHelp("trim or split.", valueName: "mode"))
  var mode: Mode = .trim

  @Option(
    help: ArgumentHelp("Speech is this much louder than the noise floor.", valueName: "db"))
  var threshold: Double = 10

  @Option(help: ArgumentHelp("Keep this much before and after speech.", valueName: "ms"))
  var pad: Int = 100

  @Option(help: ArgumentHelp("Shorter sounds are not speech.", valueName: "ms"))
  var minSpeech: Int = 100

  @Option(help: ArgumentHelp("Shorter silences do not end a piece of speech.", valueName: "ms"))
  var minSilence: Int = 300

  @Option(
    help: ArgumentHelp(
      "With split, cut longer pieces where they are quietest (at most 60).", valueName: "s"))
  var maxLength: Double = 30

  @OptionGroup var stream: StreamOptions

  enum Mode: String, ExpressibleByArgument, CaseIterable { case trim, split }

  func validate() throws {
    func check(_ holds: Bool, _ rule: String) throws {
      guard holds else { throw ValidationError(rule) }
    }
    try check((1...60).contains(threshold), "--threshold must be between 1 and 60 dB.")
    try check((0...10_000).contains(pad), "--pad must be between 0 and 10000 ms.")
    try check((10...10_000).contains(minSpeech), "--min-speech must be between 10 and 10000 ms.")
    try check((10...10_000).contains(minSilence), "--min-silence must be between 10 and 10000 ms.")
    try check(
      (1...Double(partSeconds)).contains(maxLength), "--max-length must be between 1 and 60 s.")
  }

  func stage() -> StageParameters {
    StageParameters([
      "mode": mode.rawValue, "threshold": "\(threshold)", "pad": "\(pad)",
      "min-speech": "\(minSpeech)", "min-silence": "\(minSilence)",
      "max-length": mode == .split ? "\(maxLength)" : "none",
    ])
  }

  func makeWorker(_ run: ToolRun) -> VADWorker {
    VADWorker(
      threshold: threshold,
      rules: SegmentRules(
        padding: (pad + 5) / 10, shortestSpeech: (minSpeech + 5) / 10,
        shortestSilence: (minSilence + 5) / 10,
        longest: mode == .split ? Int(maxLength * Double(SpeechDetector.frameRate)) : nil),
      splits: mode == .split, failsOnError: stream.rejects.onError == .fail)
  }
}
