import ArgumentParser
import Filters

/// Looks at record streams, copies, compares, checks and mends them.
@main
struct StreamProgram: ToolGroup {
  static let tool = ToolDescription(
    name: "tts-stream", abstract: "Look at, copy, compare, check and mend record streams.",
    examples: [
      "tts-stream view train.ttsr | head -n 1",
      "tts-stream check --quick shards/*.ttsr",
      "tts-import LJSpeech-1.1 | tts-resample --rate 24000 | tts-stream save -o lj.ttsr",
      "tts-stream diff before.ttsr after.ttsr",
    ])

  static let configuration = tool.configuration(subcommands: [
    View.self, Head.self, Cat.self, Count.self, Stat.self, Check.self, Digest.self, Diff.self,
    Save.self, Done.self, Header.self, Recover.self, Export.self,
  ])
}
