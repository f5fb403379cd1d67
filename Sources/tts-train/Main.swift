import ArgumentParser
import Base
import Filters
import Foundation
import ModelInterface
import ModelRegistry
import SpeechTraining
import Tensors
import Training
import TrainingTools

/// Trains a model on shards.
@main
struct Train: ToolWithCommands {
  static let commands: [any Tool.Type] = [Report.self, RecipeCommand.self]

  static let tool = ToolDescription(
    name: "tts-train", abstract: "Train a text-to-speech model on shards.",
    examples: [
      "tts-train --model MODEL --train 'shards/train-*.ttsr' --run runs/mine",
      "tts-train --model MODEL --train T.ttsr --valid V.ttsr --run runs/mine --lr 2e-5 --resume",
      "tts-train --recipe finetune.yaml --run runs/mine --batch 16",
      "mpirun --bind-to none -n 4 tts-train --model M --train T.ttsr --run runs/mine --accumulate 8",
    ],
    discussion: """
      Records need latents (tts-mimi-encode) and tokens (tts-tokenize) of the model itself. The run
      directory is a model directory: --model runs/mine works anywhere.

      tts-train report draws the loss of runs, tts-train recipe prints what a recipe stands for; see
      tts-train report --help and tts-train recipe --help.
      """)

  @OptionGroup(title: "Model and data") var files: FileOptions
  @OptionGroup(title: "What is learned") var task: TaskOptions
  @OptionGroup(title: "What trains") var tune: TuneOptions
  @OptionGroup(title: "Run") var runOptions: RunArguments<SpeechRunDefaults>
  @OptionGroup(title: "Run") var batch: BatchOptions
  @OptionGroup(title: "Samples") var samples: SamplingOptions
  @OptionGroup(title: "Optimiser") var optimizer: OptimizerOptions
  @OptionGroup(title: "Loss and data") var loss: LossAndDataOptions
  @OptionGroup(title: "General") var common: CommonOptions

  func execute(_ run: ToolRun) throws {
    if files.valid.isEmpty, runOptions.needsValidation {
      throw ValidationError("--keep-best and --patience need --valid.")
    }
    try TrainingSession.begin(run, work)
  }

  /// The work of one of the processes that train together.
  private func work(_ session: TrainingSession) throws {
    let run = session.run
    var options = TrainingOptions()
    options.run = runOptions.options
    batch.set(&options)
    optimizer.set(&options)
    loss.set(&options, distills: task.distill != nil)
    task.set(&options.task, seed: options.run.seed)
    options.cache = tune.cache
    options.cacheVariants = tune.cacheVariants
    try session.check(runOptions, writes: !tune.list && !tune.dryRun)
    let model = try ModelRegistry.speechModel(files.model)
    try samples.set(&options, model)
    var trainable = try model.trainable(options.task)
    try trainable.check(options.loss)
    if tune.tune?.tuning == .lora {
      options.lowRank = tune.lowRank
      trainable = try trainable.adapted(tune.lowRank, seed: options.run.seed)
    }
    if options.statistics == .model, task.distill == nil, hasFreshStatistics(trainable) {
      run.warn(
        "\(files.model): its latent statistics are those of a new model; consider --statistics data"
      )
    }
    let voices = try voiceBank(trainable, options, run)
    let learnt = try corpus(files.train, "--train", trainable, voices, options, run)
    try learnt.check(options.examples, name: "--train")
    options.selection = tune.selection(suitable: suitableTuning(for: trainable, learnt))
    if tune.list {
      if session.isRoot { try list(trainable, options.selection) }
      return
    }
    try sayWhatTrains(trainable, options.selection, run)
    let validation =
      files.valid.isEmpty
      ? nil : try corpus(files.valid, "--valid", trainable, voices, options, run)
    let training = try TrainingRun(
      directory: runOptions.run, trainable: trainable, training: learnt, validation: validation,
      options: options, toolVersion: Self.tool.outputVersion, group: session.group)
    if tune.dryRun { return try session.rehearse(training, runOptions) }
    try session.train(training, runOptions)
  }

  // MARK: What trains

  /// A new model learns all; of one that speaks the head is better left alone where there is little
  /// data.
  private func suitableTuning(for trainable: any Trainable, _ corpus: Corpus) -> Tuning {
    // What learns from a model is limited already to what that can teach.
    if task.distill != nil { return .full }
    let hours = Double(corpus.frames) / trainable.frameRate / 3600
    return hours >= ParameterSelection.hoursForHead || hasFreshStatistics(trainable) ? .full : .body
  }

  private func sayWhatTrains(
    _ trainable: any Trainable, _ selection: ParameterSelection, _ run: ToolRun
  ) throws {
    let names = try selection.names(of: trainable)
    func count(_ isCounted: (String) -> Bool) -> Int {
      trainable.parameters.reduce(0) { $0 + (isCounted($1.key) ? $1.value.count : 0) }
    }
    let trained = count(names.contains)
    run.count("trained_parameters", trained)
    run.say(
      "--tune \(selection.tuning): \(rounded(Double(trained) / 1e6)) of "
        + "\(rounded(Double(count { _ in true }) / 1e6)) million parameters train")
  }

  private func list(_ trainable: any Trainable, _ selection: ParameterSelection) throws {
    let names = try selection.names(of: trainable)
    let output = try ByteOutput(path: nil)
    for (name, tensor) in trainable.parameters.sorted(by: { $0.key < $1.key }) {
      try output.write(
        "\(names.contains(name) ? "trains" : "frozen")\t\(tensor.shape)\t\(name)\n")
    }
    try output.finish()
  }

  private func voiceBank(
    _ trainable: any Trainable, _ options: TrainingOptions, _ run: ToolRun
  ) throws -> VoiceBank? {
    guard options.examples.prompts == .bank else { return nil }
    let voices = try VoiceBank(
      loss.voiceBank, LatentForm(of: trainable), seconds: options.examples.promptSeconds)
    run.say("--voice-bank: \(voices.references.count) voices")
    return voices
  }

  private func corpus(
    _ patterns: [String], _ name: String, _ trainable: any Trainable, _ voices: VoiceBank?,
    _ options: TrainingOptions, _ run: ToolRun
  ) throws -> Corpus {
    let corpus = try Corpus(
      patterns, for: trainable, maxSeconds: options.maxSeconds, voices: voices, name: name
    ) { records in
      if records % 256 == 0 {
        try run.checkInterrupted()
        run.progress("\(name): \(records) records")
      }
    }
    let hours = Double(corpus.frames) / trainable.frameRate / 3600
    var line = "\(name): \(corpus.count) utterances, \(rounded(hours)) h"
    for (reason, count) in corpus.leftOut.sorted(by: { $0.key < $1.key }) {
      line += ", \(count) left out: \(reason)"
    }
    if corpus.cut > 0 { line += ", \(corpus.cut) cut" }
    if [.cut, .auto].contains(options.examples.prompts) {
      line += ", \(corpus.cuttable) with a place to cut"
    }
    run.say(line)
    for source in corpus.sources where corpus.sources.count > 1 {
      let hours = Double(source.frames) / trainable.frameRate / 3600
      run.say(
        "\(source.name): \(source.utterances.count) utterances, \(rounded(hours)) h, "
          + "\(rounded(100 * source.share)) % of the samples")
    }
    let label = String(name.dropFirst(2))
    run.count("\(label)_utterances", corpus.count)
    run.count("\(label)_frames", corpus.frames)
    run.count("\(label)_left_out", corpus.leftOut.values.reduce(0, +))
    run.count("\(label)_cut", corpus.cut)
    return corpus
  }
}
