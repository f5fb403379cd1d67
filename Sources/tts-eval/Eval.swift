import ArgumentParser
import Base
import Filters
import Speaking

/// `tts-eval`: how well a model speaks.
@main
struct Eval: Tool {
  static let tool = ToolDescription(
    name: "tts-eval", abstract: "Measure how a model speaks sentences.",
    examples: [
      "tts-eval --model MODEL --voice me.wav sentences.txt",
      "tts-eval --model runs/mine --json mine.json --items mine.jsonl valid.ttsr",
      "tts-eval --model MODEL --voice me.wav --asr 'whisper-words {}' --keep spoken/ sentences.txt",
      "tts-eval --model MODEL --calibrate valid.ttsr",
    ],
    discussion: """
      Each line of the input, or each record with text, is a sentence; what a record has of audio and \
      latents is the reference that its speech is compared with. A table goes to standard output. The \
      figures depend on the model, the options and the seed, and not on threads or order.

      --asr and --similarity run a command of yours for every sentence, with the WAV files as its last \
      arguments or in place of {}, and read its answer from its standard output.
      """)

  @Option(
    help: ArgumentHelp(
      "The model: a directory, a YAML file, or an official name (english).", valueName: "model"),
    completion: .file())
  var model: String
  @Option(
    help: ArgumentHelp(
      """
      The voice: a recording, a voice file (.safetensors), or a voice of the model by its name. \
      Without it the voice is random.
      """, valueName: "voice"), completion: .file())
  var voice: String?
  @Option(
    help: ArgumentHelp(
      """
      What the input is: text (a line a sentence), paragraphs (apart by blank lines), tsv, jsonl, \
      ttsr, or auto: ttsr or text, by the first bytes.
      """, valueName: "name"))
  var inputFormat: InputFormat = .auto
  @OptionGroup(title: "Results") var results: ResultOptions
  @OptionGroup(title: "Listeners") var listeners: ListenerOptions
  @OptionGroup(title: "End of speech") var ends: CalibrationOptions
  @Option(
    help: ArgumentHelp(
      "Speak so many sentences at a time. It is the same speech.", valueName: "n"))
  var batch = 8
  @Option(
    // Every level begins with a minus sign.
    parsing: .unconditional,
    help: ArgumentHelp(
      "Speech below this level counts as silent, as does that of fewer than 8 frames.",
      valueName: "dBFS"))
  var silence = -60.0
  @OptionGroup(title: "Speech") var speech: SpeechOptions
  @OptionGroup(title: "Speech") var seed: SeedOption
  @OptionGroup var input: InputOptions
  @OptionGroup var rejects: RejectOptions
  @OptionGroup(title: "General") var common: CommonOptions

  func validate() throws {
    guard (1...256).contains(batch) else {
      throw ValidationError("--batch must be between 1 and 256.")
    }
    guard (-200...0).contains(silence) else {
      throw ValidationError("--silence must be between -200 and 0 dBFS.")
    }
  }
}

/// Where results go, besides the table.
struct ResultOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("Write all figures to this file as JSON.", valueName: "file"),
    completion: .file(extensions: ["json"]))
  var json: String?
  @Option(
    help: ArgumentHelp(
      "Write a line of JSON for each sentence to this file.", valueName: "file"),
    completion: .file(extensions: ["jsonl"]))
  var items: String?
  @Option(
    help: ArgumentHelp(
      "Write the speech of each sentence into this folder, as WAV named by its id.",
      valueName: "folder"), completion: .directory)
  var keep: String?
}

/// Commands that listen to the speech.
struct ListenerOptions: ParsableArguments {
  /// What the speech is compared with for its speaker.
  enum Likeness: String, ExpressibleByArgument, CaseIterable {
    case voice, reference
  }

  @Option(
    help: ArgumentHelp(
      "A command that gets a WAV file and prints what is said in it, for the word error rate.",
      valueName: "command"))
  var asr: String?
  @Flag(help: "Let --asr listen to the references too: the floor of its word error rate.")
  var asrFloor = false
  @Option(
    help: ArgumentHelp(
      """
      A command that gets two WAV files, the speech and the speaker, and prints a number: how alike \
      they are.
      """, valueName: "command"))
  var similarity: String?
  @Option(
    help: ArgumentHelp(
      "The second file of --similarity: the recording of the voice, or the reference.",
      valueName: "which"))
  var similarityTo: Likeness = .voice
  @Option(
    help: ArgumentHelp(
      "The sample rate of the files that commands get. Default: as it is.", valueName: "hertz"))
  var wavRate: Int?
  @Option(help: ArgumentHelp("Seconds that a command may take.", valueName: "s"))
  var timeout = 120.0
  @Option(help: ArgumentHelp("Run so many commands at a time.", valueName: "n"))
  var jobs = 1

  func validate() throws {
    if asrFloor, asr == nil { throw ValidationError("--asr-floor needs --asr.") }
    guard timeout > 0, timeout <= 86_400 else {
      throw ValidationError("--timeout must be above 0 and at most 86400 s.")
    }
    guard (1...256).contains(jobs) else {
      throw ValidationError("--jobs must be between 1 and 256.")
    }
    if let wavRate, !(1000...768_000).contains(wavRate) {
      throw ValidationError("--wav-rate must be between 1000 and 768000 Hz.")
    }
    _ = try commands()
  }

  /// The commands that are asked for.
  func commands() throws -> (asr: ExternalCommand?, similarity: ExternalCommand?) {
    do {
      return (
        try asr.map { try ExternalCommand($0, option: "--asr", files: 1, timeout: timeout) },
        try similarity.map {
          try ExternalCommand($0, option: "--similarity", files: 2, timeout: timeout)
        }
      )
    } catch let failure as Failure {
      throw ValidationError(failure.description)
    }
  }
}

/// Whether thresholds for the end of speech are compared, and which.
struct CalibrationOptions: ParsableArguments {
  @Flag(
    help: """
      Speak each sentence once more, to the limit of frames, and say for a range of thresholds what \
      share of the sentences would end, and after how long; recommend one.
      """)
  var calibrate = false
  @Option(
    // The usual values begin with a minus sign.
    parsing: .unconditional,
    help: ArgumentHelp("The thresholds of --calibrate.", valueName: "from:to:step"))
  var thresholds = ThresholdRange(from: -10, to: 4, step: 0.5)
}
