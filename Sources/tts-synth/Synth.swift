import ArgumentParser
import Base
import Filters
import ModelInterface
import ModelRegistry
import Records
import Speaking

/// `tts-synth`: text to speech.
@main
struct Synth: ToolWithCommands {
  static let commands: [any Tool.Type] = [Serve.self]

  static let tool = ToolDescription(
    name: "tts-synth", abstract: "Say text: lines of text or records to speech.",
    examples: [
      "echo 'Hello there.' | tts-synth --model english --voice alba > hello.wav",
      "echo 'Hello there.' | tts-synth --model MODEL --voice me.wav > hello.wav",
      "tts-synth --model MODEL --text 'One. [pause 0.5s] Two.' -o two.wav",
      "tts-synth --model MODEL --input-format paragraphs --play < book.txt",
      "tts-synth --model MODEL --input-format tsv --loudness -23 lines.tsv -o all.wav",
      "tts-synth --model MODEL --format ttsr in.ttsr | tts-stream view --audio spoken/",
      "tts-synth --model MODEL --voice me.wav --export-voice me.safetensors",
    ],
    discussion: """
      Each line of the input is one utterance; records are said one by one, in order. Audio leaves \
      as it is made, while text is still being read. At temperature 0 the speech is the same every \
      time; else it depends on the seed and on the line or the record's id, not on what stands \
      before it.

      [pause 0.5s] or [pause 500ms] in a text is silence of that length. Records, and lines of tsv \
      and jsonl input, may name a voice and a seed of their own.

      tts-synth serve answers over HTTP; see tts-synth serve --help.
      """)

  /// How the speech is written.
  enum Format: String, ExpressibleByArgument, CaseIterable {
    case wav, s16le, f32le, ttsr
  }

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
  @Option(help: ArgumentHelp("Say this instead of reading input.", valueName: "text"))
  var text: String?
  @Option(
    help: ArgumentHelp(
      """
      What the input is: text (a line an utterance), paragraphs (apart by blank lines), tsv, jsonl, \
      ttsr, or auto: ttsr or text, by the first bytes.
      """, valueName: "name"))
  var inputFormat: InputFormat = .auto
  @Option(
    help: ArgumentHelp(
      """
      Say so many utterances at a time: more speech a second, later. It is the same speech, in the \
      same order.
      """, valueName: "n"))
  var batch = 1
  @OptionGroup var speech: SpeechOptions
  @OptionGroup var seed: SeedOption
  @Option(
    // Every LUFS value begins with a minus sign.
    parsing: .unconditional,
    help: ArgumentHelp(
      """
      Bring each utterance to this integrated loudness (ITU-R BS.1770), less where its peak would \
      pass full scale. Audio then leaves an utterance at a time.
      """, valueName: "lufs"))
  var loudness: Double?
  @Option(
    help: ArgumentHelp(
      "wav (16 bits), s16le or f32le (samples alone), or ttsr (records with audio).",
      valueName: "name"))
  var format: Format = .wav
  @Flag(
    help: """
      Play the speech instead of writing it, with the first of pw-play, paplay, aplay, ffplay and \
      play that is installed.
      """)
  var play = false
  @Option(
    help: ArgumentHelp(
      "Write the voice to this file, for a faster start the next time, and end; reads no input.",
      valueName: "file"), completion: .file(extensions: ["safetensors"]))
  var exportVoice: String?
  @OptionGroup var input: InputOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup var rejects: RejectOptions
  @OptionGroup var stageID: StageIDOption
  @OptionGroup var common: CommonOptions

  func validate() throws {
    if let text, text.allSatisfy(\.isWhitespace) {
      throw ValidationError("--text holds nothing to say.")
    }
    if text != nil, !input.operands.isEmpty {
      throw ValidationError("Give either --text or input files.")
    }
    guard (1...256).contains(batch) else {
      throw ValidationError("--batch must be between 1 and 256.")
    }
    if batch > 1, text != nil {
      throw ValidationError("--batch is for input: give it without --text.")
    }
    if let loudness, !(-70...0).contains(loudness) {
      throw ValidationError("--loudness must be between -70 and 0 LUFS.")
    }
    if play, output.output != nil || format != .wav {
      throw ValidationError("--play writes nothing: give it without -o and --format.")
    }
    if exportVoice != nil {
      guard voice != nil else { throw ValidationError("--export-voice needs --voice.") }
      guard text == nil, !play, input.operands.isEmpty, output.output == nil else {
        throw ValidationError("--export-voice says nothing: give it without text, -o and --play.")
      }
    }
  }
}
