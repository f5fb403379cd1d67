import ArgumentParser
import Base
import Filters
import Foundation
import Hub
import ModelInterface
import ModelRegistry
import Pickles
import Tensors

/// `tts-model convert`, also called `export`: a model in the official form, from a trainer's checkpoint or to
/// one.
struct Convert: Tool {
  static let tool = ToolDescription(
    name: "tts-model convert",
    abstract: "Write a model, or what a trainer keeps of one, as one directory; or the way back.",
    examples: [
      "tts-model convert old/config.yaml -o MODEL",
      "tts-model export runs/mine -o MODEL",
      "tts-model export runs/mine --voices bank.ttsr -o MODEL",
      "tts-model export runs/mine --checkpoint 4000 --precision bf16 --name me/my-voice -o MODEL",
      "tts-model convert --config english checkpoint_00400000.pt -o MODEL",
      "tts-model convert runs/enhancer_stage2 -o ENHANCE",
      "tts-model convert --to pt MODEL -o model.pt",
    ],
    discussion: """
      Takes any model that the tools can open, runs and the older form with separate files for the \
      language model and the codec among them. The directory has model.safetensors with the official \
      names, config.yaml of the official schema, and the tokenizer, and loads in the official package: \
      without --name in that directory, since its relative paths count from the working directory; \
      with it anywhere, once the files are on the hub.

      Takes the PyTorch files of other trainers too, and runs nothing that is in them: checkpoints of \
      the official trainer of Pocket TTS, whose --config must be named and whose codec comes from \
      there; and run directories of Resemble-Enhance, or their mp_rank_00_model_states.pt. With --to \
      pt the output is such a file, or such a run directory, again.
      """)

  static var configuration: CommandConfiguration {
    var configuration = tool.configuration()
    configuration.aliases = ["export"]
    return configuration
  }

  @Argument(
    help: ArgumentHelp(
      """
      A model directory, a run, a checkpoint, a YAML file, or an official name; or a PyTorch file of \
      another trainer, or a run directory of Resemble-Enhance.
      """, valueName: "model"))
  var model: String
  @Option(
    help: ArgumentHelp(
      """
      Of a PyTorch file: the YAML file of its model, or an official name; for Resemble-Enhance the \
      hparams.yaml of its run (default: the one where it lies).
      """, valueName: "config"))
  var config: String?
  @Option(
    help: ArgumentHelp(
      "What to write: model, a model directory, or pt, what the model's own trainer keeps.",
      valueName: "form"))
  var to = Target.model
  @Option(
    help: ArgumentHelp(
      "Of a run: its checkpoint of this step instead of its last model.", valueName: "step"))
  var checkpoint: Int?
  @Flag(
    help: """
      Of a run or a PyTorch file: the parameters themselves instead of their running average; of a \
      run's last checkpoint where --checkpoint names none.
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
    help: ArgumentHelp("The directory, or the file, to make.", valueName: "path"))
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
    let form = ModelForm(precision: precision, hubFolder: name)
    if let file = try ModelRegistry.checkpointFile(model) {
      guard to == .model, checkpoint == nil, voices.isEmpty else {
        throw Failure(
          .usage, subject: model, problem: "a PyTorch file is read as it is",
          remedy: "leave out --to, --checkpoint and --voices")
      }
      try requireNoModel(in: output)
      let source = try TorchFile(path: file)
      try ModelRegistry.checkpointForm(of: source).convert(
        source,
        CheckpointConversion(configuration: config, raw: raw, form: form, directory: output))
      return
    }
    guard config == nil else {
      throw Failure(
        .usage, subject: model, problem: "it has a configuration of its own",
        remedy: "leave out --config, which is for PyTorch files")
    }
    switch to {
    case .model:
      try requireNoModel(in: output)
      let exported = try ExportedVoices(voices)
      if voices.isEmpty {
        try openModel(model, checkpoint: checkpoint, raw: raw).write(to: output, as: form)
      } else {
        let model = try openSpeechModel(model, checkpoint: checkpoint, raw: raw)
        try write(model, form, with: exported, run)
      }
    case .pt:
      guard voices.isEmpty else {
        throw Failure(
          .usage, problem: "--voices are for model directories", remedy: "leave them out")
      }
      guard form == ModelForm() else {
        throw Failure(
          .usage, problem: "--precision and --name are for model directories",
          remedy: "leave them out")
      }
      try openModel(model, checkpoint: checkpoint, raw: raw).writeCheckpoint(to: output)
    }
  }

  /// Writes the model after its voices, which only its own weights can make.
  private func write(
    _ model: any SpeechModel, _ form: ModelForm, with voices: ExportedVoices, _ run: ToolRun
  ) throws {
    let (weights, staging) = ("model.safetensors", output + "/.export.tmp-model")
    try createDirectory(staging)
    defer { try? FileManager.default.removeItem(atPath: staging) }
    try model.write(to: staging, as: form)
    let files = try FileManager.default.contentsOfDirectory(atPath: staging)
    let names = try voices.write(to: output + "/voices", with: ModelRegistry.speechModel(staging))
    for name in files.filter({ $0 != weights }).sorted() + [weights] {
      let path = output + "/" + name
      guard rename(staging + "/" + name, path) == 0 else {
        throw Failure.systemCall("create", path, writing: true, code: errno)
      }
    }
    run.say("\(names.count) voices: \(names.joined(separator: ", "))")
  }
}

/// What `tts-model convert` writes.
enum Target: String, CaseIterable, ExpressibleByArgument {
  case model
  case pt
}
