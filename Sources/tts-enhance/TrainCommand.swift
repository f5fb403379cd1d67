public import ArgumentParser
import Base
import Filters
public import ModelInterface
import ModelRegistry
import Training
import TrainingTools

/// `tts-enhance train`: one of the three trainings.
struct TrainCommand: Tool {
  static let tool = ToolDescription(
    name: "tts-enhance train", abstract: "Train a denoiser, or one of the stages of an enhancer.",
    examples: [
      "tts-enhance train --stage denoiser --fg speech --bg noise --rir rooms --run runs/denoiser",
      "tts-enhance train --stage enhancer1 --fg speech --config stage1.yaml --run runs/stage1",
      "tts-enhance train --stage enhancer2 --fg speech --bg noise --rir rooms "
        + "--autoencoder runs/stage1 --denoiser runs/denoiser --run runs/enhancer",
    ],
    discussion: """
      Clean speech and noise are .wav and .flac files anywhere below their folders; room responses are \
      these too, or .npy arrays. Ten recordings of the speech are kept for validation. Recordings are mixed \
      and distorted anew for each sample, which follows from --seed and its number alone.

      denoiser learns to take noise away; enhancer1 an autoencoder of log-mel frames and a vocoder, against \
      discriminators after a while; enhancer2 the flow between noise and the latents of enhancer1, and the \
      denoiser once more. --config takes the YAML files of the package as they are. The run directory is a \
      model directory: --model runs/enhancer works anywhere.
      """)

  @Option(
    help: ArgumentHelp("What to train: denoiser, enhancer1 or enhancer2.", valueName: "stage"))
  var stage: EnhancementStage
  @Option(
    help: ArgumentHelp("Folder of clean speech; default: the configuration's.", valueName: "dir"),
    completion: .directory)
  var fg: String?
  @Option(
    help: ArgumentHelp("Folder of noise; default: the configuration's.", valueName: "dir"),
    completion: .directory)
  var bg: String?
  @Option(
    help: ArgumentHelp(
      "Folder of room responses; default: the configuration's.", valueName: "dir"),
    completion: .directory)
  var rir: String?
  @Option(
    help: ArgumentHelp(
      """
      Configuration: a hparams.yaml of the package, a config.yaml of a model directory, or \
      resemble-enhance or resemble-enhance-denoiser. Default: that of --start, or the trainer's.
      """, valueName: "file"), completion: .file(extensions: ["yaml"]))
  var config: String?
  @Option(
    help: ArgumentHelp(
      "Change a key of the configuration. May be repeated.", valueName: "key=value"))
  var set: [TrainingTask.Override] = []
  @Option(
    help: ArgumentHelp(
      "Model directory whose weights the training begins with; default: random ones.",
      valueName: "dir"), completion: .directory)
  var start: String?
  @Option(
    help: ArgumentHelp(
      "For enhancer2: the run of enhancer1; default: the configuration's.", valueName: "dir"),
    completion: .directory)
  var autoencoder: String?
  @Option(
    help: ArgumentHelp(
      "For enhancer2: a denoiser to begin with; default: the configuration's.", valueName: "dir"),
    completion: .directory)
  var denoiser: String?
  @Flag(
    help: """
      Make the mistakes of the package in its training data: room responses at 44,000 Hz that move the signal.
      """)
  var asPackage = false
  @Option(help: ArgumentHelp("Products of f32 or bf16.", valueName: "name"))
  var precision = TrainingPrecision.f32
  @OptionGroup(title: "Run") var runOptions: RunArguments<EnhancementRunDefaults>
  @Option(
    help: ArgumentHelp("Steps between samples; 0: none.", valueName: "n"))
  var sampleEvery = 0
  @Option(help: ArgumentHelp("Recordings that samples are made of.", valueName: "n"))
  var sampleCount = 3
  @Flag(help: "Make some steps, write nothing, and print what the run will take.")
  var dryRun = false
  @OptionGroup(title: "General") var common: CommonOptions

  /// How products are made.
  enum TrainingPrecision: String, CaseIterable, ExpressibleByArgument { case f32, bf16 }

  func validate() throws {
    try check("sample-every", sampleEvery, atLeast: 0)
    try check("sample-count", sampleCount, atLeast: 1)
    if stage != .flow, autoencoder ?? denoiser != nil {
      throw ValidationError("--autoencoder and --denoiser belong to --stage enhancer2.")
    }
  }

  func execute(_ run: ToolRun) throws {
    try TrainingSession.begin(run) { session in
      try session.check(runOptions, writes: !dryRun)
      var options = runOptions.options
      options.sampleEvery = sampleEvery
      let lesson = try ModelRegistry.lesson(task, warn: { run.warn($0) })
      options.steps = runOptions.steps ?? lesson.steps ?? options.steps
      let training = try TrainingRun(
        directory: runOptions.run, lesson: lesson, options: options, tool: "tts-enhance train",
        toolVersion: Self.tool.outputVersion, group: session.group)
      if dryRun { return try session.rehearse(training, runOptions) }
      try session.train(training, runOptions)
    }
  }

  private var task: EnhancementTask {
    var task = EnhancementTask(stage: stage)
    task.configuration = config
    task.changes = set
    task.foreground = fg
    task.background = bg
    task.rooms = rir
    task.start = start
    task.autoencoder = autoencoder
    task.denoiser = denoiser
    task.seed = runOptions.options.seed
    task.usesBFloat16 = precision == .bf16
    task.samples = sampleCount
    task.followsPackage = asPackage
    return task
  }
}

/// The habits of the package's trainer, but for a number of steps that ends.
struct EnhancementRunDefaults: RunDefaults {
  static let stepsComeFrom: String? = "max_steps where the configuration names it"
  static let options: RunOptions = {
    var options = RunOptions()
    options.averageDecay = 0
    options.steps = 100_000
    options.validEvery = 5000
    options.validBatches = 10
    options.checkpointEvery = 5000
    return options
  }()
}

/// `tts-enhance report`: what such runs came to, on a page.
struct ReportCommand: Tool {
  static let tool = ToolDescription(
    name: "tts-enhance report",
    abstract: "Put the losses and the samples of runs on one HTML page.",
    examples: ["tts-enhance report runs/denoiser > denoiser.html"],
    discussion: "The page is that of tts-train report, which draws runs of any tool that trains.")

  @OptionGroup var page: ReportOptions
  @OptionGroup var common: CommonOptions

  func execute(_ run: ToolRun) throws { try page.writePage() }
}

extension EnhancementStage: ExpressibleByArgument {}
