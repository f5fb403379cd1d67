import ArgumentParser
import Filters

/// `tts-synth serve …` is a command of its own; anything else speaks, so that its options stand in
/// `tts-synth --help`.
@main
enum Program {
  static func main() {
    if CommandLine.arguments.dropFirst().first == "serve" {
      Commands.main()
    } else {
      Synth.main()
    }
  }
}

struct Commands: ToolGroup {
  static let tool = ToolDescription(name: "tts-synth", abstract: "Text to speech.")
  static var configuration: CommandConfiguration { tool.configuration(subcommands: [Serve.self]) }
}
