import ArgumentParser
import Base
import Filters
import Hub
import ModelInterface
import ModelRegistry

/// `tts-model fetch`: downloads beforehand.
struct Fetch: Tool {
  static let tool = ToolDescription(
    name: "tts-model fetch",
    abstract: "Fetch models, and other files of a hub, into the cache; print where they are.",
    examples: [
      "tts-model fetch english",
      "tts-model fetch --voice alba --voice jean english french",
      "tts-model fetch hf://kyutai/tts-voices/alba-mackenna/casual.wav",
    ],
    discussion: """
      Every tool fetches by itself what a model needs and the cache does not have; fetching it \
      beforehand serves machines without a network. The cache is the one of Python's \
      huggingface_hub: what either fetched, both find. A transfer that was cut off is continued.

      The official weights with voice cloning are gated: accept their terms on the hub's page, and \
      put a token into HF_TOKEN. Without it the open weights are fetched, which know only the \
      voices that come with them.
      """)

  @Argument(
    help: ArgumentHelp(
      "An official name, a YAML file, a model directory, or hf://OWNER/REPOSITORY/PATH[@REVISION].",
      valueName: "name"))
  var names: [String]
  @Option(
    help: ArgumentHelp(
      "Fetch this voice of each model too; may be given several times.", valueName: "name"))
  var voice: [String] = []
  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard voice.isEmpty || names.contains(where: ModelRegistry.recognizes) else {
      throw ValidationError("--voice belongs to a model; name one.")
    }
  }

  func execute(_ run: ToolRun) throws {
    let output = try ByteOutput(path: nil)
    let hub = Hub()
    for name in names {
      var paths: [String] = []
      if HubPath.isMeant(by: name), !ModelRegistry.recognizes(name) {
        paths = [try hub.file(HubPath(name))]
      } else {
        paths = try ModelRegistry.model(name).fetch()
        for voice in voice { paths.append(try ModelRegistry.speechModel(name).voicePath(voice)) }
      }
      for path in paths { try output.write(path + "\n") }
      try output.flush()
    }
    try output.finish()
  }
}
