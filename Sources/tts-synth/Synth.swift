import ArgumentParser
import Base
import Filters
import ModelInterface
import ModelRegistry
import Records

/// `tts-synth`: text to speech.
@main
struct Synth: Tool {
  static let tool = ToolDescription(
    name: "tts-synth", abstract: "Say text: lines of text or records to speech.",
    examples: [
      "echo 'Hello there.' | tts-synth --model MODEL --voice me.wav > hello.wav",
      "echo 'Hello there.' | tts-synth --model english --voice alba > hello.wav",
      "tts-synth --model MODEL --text 'Hello there.' -o hello.wav",
      "tts-synth --model MODEL --format s16le < book.txt | aplay -f S16_LE -r 24000",
      "tts-synth --model MODEL --format ttsr in.ttsr | tts-stream view --audio spoken/",
    ],
    discussion: """
      Each line of the input is one utterance; records are said one by one, in order. Audio leaves \
      as it is made. At temperature 0 the speech is the same every time; else it depends on the seed \
      and on the line or the record's id, not on what stands before it.
      """)

  /// How the speech is written.
  enum Format: String, ExpressibleByArgument, CaseIterable {
    case wav, s16le, f32le, ttsr
  }

  @Option(
    help: ArgumentHelp(
      "The model: a directory, a YAML file, or an official name (english).", valueName: "model"))
  var model: String
  @Option(
    help: ArgumentHelp(
      "The voice: a recording, a voice file (.safetensors), or a voice of the model by its name. "
        + "Without it the voice is random.", valueName: "voice"))
  var voice: String?
  @Option(help: ArgumentHelp("Say this instead of reading input.", valueName: "text"))
  var text: String?
  @Option(
    help: ArgumentHelp(
      "Variance of the noise; 0 is deterministic. Default: the model's.", valueName: "x"))
  var temperature: Float?
  @Option(help: ArgumentHelp("Steps of the flow decoder.", valueName: "n"))
  var decodeSteps = 1
  @Option(
    help: ArgumentHelp("Bound the noise to this magnitude. Default: unbounded.", valueName: "x"))
  var noiseClamp: Float?
  @OptionGroup var seed: SeedOption
  @Option(
    help: ArgumentHelp(
      "Logit above which speech is taken to end. Default: the model's.", valueName: "x"))
  var eosThreshold: Float?
  @Option(
    help: ArgumentHelp("Frames after the end of speech. Default: the model's rule.", valueName: "n")
  )
  var framesAfterEos: Int?
  @Option(
    help: ArgumentHelp(
      "Frames at most for a piece of text. Default: by its length.", valueName: "n"))
  var maxFrames: Int?
  @Option(help: ArgumentHelp("Tokens at most in a piece of text.", valueName: "n"))
  var maxTokens = 50
  @Option(
    help: ArgumentHelp(
      "wav (16 bits), s16le or f32le (samples alone), or ttsr (records with audio).",
      valueName: "name"))
  var format: Format = .wav
  @OptionGroup var input: InputOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup var rejects: RejectOptions
  @OptionGroup var stageID: StageIDOption
  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard decodeSteps >= 1, decodeSteps <= 1000 else {
      throw ValidationError("--decode-steps must be between 1 and 1000.")
    }
    guard maxTokens >= 1 else { throw ValidationError("--max-tokens must be at least 1.") }
    if let maxFrames, maxFrames < 1 { throw ValidationError("--max-frames must be at least 1.") }
    if let framesAfterEos, framesAfterEos < 0 {
      throw ValidationError("--frames-after-eos must not be negative.")
    }
    if let temperature, !(temperature >= 0 && temperature.isFinite) {
      throw ValidationError("--temperature must be 0 or more.")
    }
    if let noiseClamp, !(noiseClamp > 0) {
      throw ValidationError("--noise-clamp must be above 0.")
    }
    if text != nil, !input.operands.isEmpty {
      throw ValidationError("Give either --text or input files.")
    }
  }

  var options: GenerationOptions {
    GenerationOptions(
      temperature: temperature, decodeSteps: decodeSteps, noiseClamp: noiseClamp,
      endOfSpeechThreshold: eosThreshold, framesAfterEnd: framesAfterEos, maxFrames: maxFrames,
      maxTokens: maxTokens, seed: seed.seed)
  }
}
