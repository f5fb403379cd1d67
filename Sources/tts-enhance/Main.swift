public import ArgumentParser
public import AudioRecords
import Base
import Filters
import ModelInterface
import ModelRegistry
import Tensors

/// `tts-enhance`: recordings without their noise, or spoken anew.
@main
struct Enhance: ToolWithCommands {
  static let commands: [any Tool.Type] = [TrainCommand.self, ReportCommand.self]

  static let tool = ToolDescription(
    name: "tts-enhance", abstract: "Denoise or enhance recordings of speech.",
    examples: [
      "tts-enhance --model MODEL noisy.wav -o better.wav",
      "tts-enhance --model MODEL --mode denoise recordings/ -o denoised/",
      "echo 'Hello there.' | tts-synth --model english | tts-enhance --model MODEL > hello.wav",
      "tts-import wavs/ | tts-enhance --model MODEL --mode denoise | tts-vad -o speech.ttsr",
    ],
    discussion: """
      Takes record streams, whose audio it replaces, or recordings: files, folders that are searched for \
      them, or audio on standard input; the first bytes tell them apart. One recording becomes one file, or \
      WAV on standard output; of several, and of folders, -o names a folder, in which they have the names \
      that they have now. A recording that cannot be enhanced is reported, and the others are made.

      Channels become mono by their mean. All of a recording is worked on at the model's rate, 44100 Hz for \
      Resemble-Enhance, in chunks of 30 s, however long it is.

      denoise takes noise away; enhance generates the speech anew from what is heard of it, which mends more \
      and may change words that are hardly heard: a lower --lambd and --tau change less.
      """)

  @OptionGroup(title: "Model") var settings: EnhancementSettings
  @Option(
    help: ArgumentHelp("Sample rate of what is written; default: the model's.", valueName: "hz"))
  var rate: Int?
  @Option(
    help: ArgumentHelp(
      """
      Store samples as pcm (float32), i16, or flac (16 bits). Default: pcm, and flac for an output whose \
      name ends in .flac.
      """, valueName: "name"))
  var codec: SampleCodec?
  @Option(
    help: ArgumentHelp(
      """
      In folders: take the files whose names end like this, upper and lower case apart. Default: all that \
      have the name of a recording.
      """, valueName: "text"))
  var suffix: String?
  @Flag(
    help: """
      Of several recordings: leave out those whose output is there, and take the others in a random order, \
      so that several runs can share a folder.
      """)
  var skipExisting = false
  @Argument(
    help: ArgumentHelp(
      """
      Record files, recordings, or folders of recordings; - or none is standard input, records or one \
      recording.
      """, valueName: "file"),
    completion: .file(extensions: ["ttsr", "wav", "flac", "ogg", "opus", "mp3"]))
  var operands: [String] = []
  @Option(
    help: ArgumentHelp(
      "Take only each N-th file of the sorted list, from the K-th (K counts from 0).",
      valueName: "k/n"))
  var shard: Share?
  @Option(
    name: [.short, .long],
    help: ArgumentHelp(
      """
      Write to this file, which gets its name only when it is whole (default: standard output); or, of \
      several recordings, to this folder.
      """, valueName: "path"), completion: .file())
  var output: String?
  @OptionGroup var level: LevelOptions
  @OptionGroup var rejects: RejectOptions
  @OptionGroup var stageID: StageIDOption
  @OptionGroup var common: CommonOptions

  func validate() throws {
    if let rate, !(1000...768_000).contains(rate) {
      throw ValidationError("--rate must be between 1000 and 768000.")
    }
    if suffix?.isEmpty == true { throw ValidationError("--suffix is empty.") }
  }

  func execute(_ run: ToolRun) throws {
    // What one chunk took serves the next.
    TensorMemory.kept = 2 << 30
    if stageID.isAsked {
      return try printStageID(Self.tool, stage(ModelRegistry.enhancementModel(settings.model)))
    }
    switch try Operands(operands) {
    case .records(let prefix): try enhanceRecords(prefix, run)
    case .standardInput(let prefix):
      try requireNoFolders()
      try enhance([.standardInput(prefix.bytes, to: output)], isFolder: false, run)
    case .recordings:
      let plan = try RecordingPlan(
        operands, suffix: suffix, output: output, ending: codec == .flac ? "flac" : "wav",
        shard: shard)
      if !plan.isFolder { try requireNoFolders() }
      try enhance(
        skipExisting ? plan.recordings.shuffled() : plan.recordings, isFolder: plan.isFolder, run)
    }
  }

  /// Options that are for several recordings.
  private func requireNoFolders() throws {
    guard !skipExisting, suffix == nil, shard == nil else {
      throw ValidationError(
        "--skip-existing, --suffix and --shard are for several recordings or folders.")
    }
  }

  private func stage(_ model: any EnhancementModel) throws -> StageParameters {
    var parameters = settings.parameters
    parameters["rate"] = rate.map { "\($0)" } ?? "model"
    parameters["codec"] = (codec ?? .pcm).rawValue
    return StageParameters(
      parameters,
      models: ["enhancer": try model.enhancerDigest(settings.options).description])
  }

  private func enhanceRecords(_ prefix: InputPrefix?, _ run: ToolRun) throws {
    guard !skipExisting, suffix == nil else {
      throw ValidationError("--skip-existing and --suffix are for recordings, not for records.")
    }
    // The output comes first, so that whoever reads it is told of everything that fails after it.
    let output = try RecordOutput(path: output, level: level, run)
    let named = operands.isEmpty ? ["-"] : operands
    try filterRecords(
      { try shard?.files(of: named) ?? named }, prefix: prefix, to: output, rejects: rejects,
      splitsWork: true, run,
      stage: { try stage(ModelRegistry.enhancementModel(settings.model)) },
      worker: {
        let enhancer = try settings.enhancer()
        return EnhancementWorker(
          path: EnhancementPath(enhancer: enhancer, options: settings.options, rate: rate),
          codec: codec ?? .pcm, failsOnError: rejects.onError == .fail, run: run)
      })
  }

  private func enhance(_ recordings: [Recording], isFolder: Bool, _ run: ToolRun) throws {
    let path = EnhancementPath(
      enhancer: try settings.enhancer(), options: settings.options, rate: rate)
    try RecordingRun(
      path: path, codec: codec, skipsExisting: skipExisting, isFolder: isFolder,
      failsOnError: rejects.onError == .fail, run: run
    ).perform(recordings)
  }
}

extension SampleCodec: ExpressibleByArgument {}
