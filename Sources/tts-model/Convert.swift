import ArgumentParser
import Base
import Filters
import Foundation
import Hub
import ModelInterface
import ModelRegistry
import Tensors

/// `tts-model convert`, also called `export`: a model in the official form.
struct Convert: Tool {
  static let tool = ToolDescription(
    name: "tts-model convert",
    abstract: "Write a model, or a run's, as one directory in the official form.",
    examples: [
      "tts-model convert old/config.yaml -o MODEL",
      "tts-model export runs/mine -o MODEL",
      "tts-model export runs/mine --voices bank.ttsr -o MODEL",
      "tts-model export runs/mine --checkpoint 4000 --precision bf16 --name me/my-voice -o MODEL",
    ],
    discussion: """
      Takes any model that the tools can open, runs and the older form with separate files for the \
      language model and the codec among them. The directory has model.safetensors with the official \
      names, config.yaml of the official schema, and the tokenizer, and loads in the official package: \
      without --name in that directory, since its relative paths count from the working directory; \
      with it anywhere, once the files are on the hub.
      """)

  static var configuration: CommandConfiguration {
    var configuration = tool.configuration()
    configuration.aliases = ["export"]
    return configuration
  }

  @Argument(
    help: ArgumentHelp(
      "A model directory, a run, a checkpoint, a YAML file, or an official name.",
      valueName: "model"))
  var model: String
  @Option(
    help: ArgumentHelp(
      "Of a run: its checkpoint of this step instead of its last model.", valueName: "step"))
  var checkpoint: Int?
  @Flag(
    help: """
      Of a run: the parameters themselves instead of their running average; of its last checkpoint \
      where --checkpoint names none.
      """)
  var raw = false
  @Option(
    help: ArgumentHelp(
      "How matrices are stored: f32, or bf16, which is half the size.", valueName: "name"))
  var precision = WeightFormat.float32
  @Option(
    help: ArgumentHelp(
      """
      The name that the model will have on a hub, OWNER/REPOSITORY or OWNER/REPOSITORY/FOLDER: \
      config.yaml then names its files there. Beside it they are found all the same by these tools.
      """, valueName: "name"))
  var name: String?
  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp(
      """
      Give the model voices by name: recordings, or folders of them, whose names are those of the \
      files; or records with latents (.ttsr), such as the voice bank of tts-train, whose speakers name them.
      """, valueName: "glob"))
  var voices: [String] = []
  @Option(
    name: [.customShort("o"), .long],
    help: ArgumentHelp("The directory to make.", valueName: "dir"))
  var output: String
  @OptionGroup var common: CommonOptions

  func validate() throws {
    guard precision != .int8 else { throw ValidationError("--precision must be f32 or bf16.") }
    if let name {
      let path = try? HubPath("hf://\(name)/config.yaml")
      guard let path, path.revision == nil else {
        throw ValidationError("--name must be OWNER/REPOSITORY, or OWNER/REPOSITORY/FOLDER.")
      }
    }
  }

  func execute(_ run: ToolRun) throws {
    try requireNoModel(in: output)
    let voices = try ExportedVoices(voices)
    let model = try openModel(model, checkpoint: checkpoint, raw: raw)
    let form = ModelForm(precision: precision, hubFolder: name)
    if self.voices.isEmpty {
      try model.write(to: output, as: form)
    } else {
      try write(model, form, with: voices, run)
    }
  }

  /// Writes the model after its voices, which only its own weights can make.
  private func write(
    _ model: any Model, _ form: ModelForm, with voices: ExportedVoices, _ run: ToolRun
  ) throws {
    let (weights, staging) = ("model.safetensors", output + "/.export.tmp-model")
    try createDirectory(staging)
    defer { try? FileManager.default.removeItem(atPath: staging) }
    try model.write(to: staging, as: form)
    let files = try FileManager.default.contentsOfDirectory(atPath: staging)
    let names = try voices.write(to: output + "/voices", with: ModelRegistry.open(staging))
    for name in files.filter({ $0 != weights }).sorted() + [weights] {
      let path = output + "/" + name
      guard rename(staging + "/" + name, path) == 0 else {
        throw Failure.systemCall("create", path, writing: true, code: errno)
      }
    }
    run.say("\(names.count) voices: \(names.joined(separator: ", "))")
  }
}
