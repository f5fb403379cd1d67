import Filters

/// `tts-synth serve …` is a command of its own; anything else speaks, so that its options stand in
/// `tts-synth --help`.
@main
enum Program {
  static func main() { Synth.main() }
}
