import ArgumentParser
import Base
import Filters
import ModelInterface
import ModelRegistry
import Training

/// Trains a model on shards.
@main
struct Train: Tool {
  static let tool = ToolDescription(
    name: "tts-train", abstract: "Train a text-to-speech model on shards.",
    examples: [
      "tts-train --model MODEL --train 'shards/train-*.ttsr' --run runs/mine",
      "tts-train --model MODEL --train T.ttsr --valid V.ttsr --run runs/mine --lr 2e-5 --resume",
    ],
    discussion: """
      Records need latents (tts-mimi-encode) and tokens (tts-tokenize) of the model itself. The run
      directory is a model directory: --model runs/mine works anywhere.
      """)

  @OptionGroup(title: "Model and data") var files: FileOptions
  @OptionGroup(title: "Run") var steps: StepOptions
  @OptionGroup(title: "Optimiser") var optimizer: OptimizerOptions
  @OptionGroup(title: "Loss and data") var loss: LossAndDataOptions
  @OptionGroup(title: "General") var common: CommonOptions

  func execute(_ run: ToolRun) throws {
    var options = TrainingOptions()
    steps.set(&options)
    optimizer.set(&options)
    loss.set(&options)
    try TrainingRun.check(files.run, resumes: files.resume)
    let trainable = try ModelRegistry.open(files.model).trainable()
    if options.statistics == .model, hasFreshStatistics(trainable) {
      run.warn(
        "\(files.model): its latent statistics are those of a new model; consider --statistics data"
      )
    }
    let learnt = try corpus(files.train, "--train", trainable, options, run)
    let validation =
      files.valid.isEmpty ? nil : try corpus(files.valid, "--valid", trainable, options, run)
    let training = TrainingRun(
      directory: files.run, trainable: trainable, training: learnt, validation: validation,
      options: options, toolVersion: Self.tool.outputVersion)
    let summary = try training.train(
      resumes: files.resume,
      observer: TrainingObserver(
        warn: { run.warn($0) }, say: { run.say($0) }, progress: { line in run.progress(line) },
        isInterrupted: { run.isInterrupted }))
    report(summary, run)
  }

  private func corpus(
    _ patterns: [String], _ name: String, _ trainable: any Trainable, _ options: TrainingOptions,
    _ run: ToolRun
  ) throws -> Corpus {
    let corpus = try Corpus(
      patterns, for: trainable, maxSeconds: options.maxSeconds, name: name
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
    run.say(line)
    let label = String(name.dropFirst(2))
    run.count("\(label)_utterances", corpus.count)
    run.count("\(label)_frames", corpus.frames)
    run.count("\(label)_left_out", corpus.leftOut.values.reduce(0, +))
    run.count("\(label)_cut", corpus.cut)
    return corpus
  }

  private func report(_ summary: TrainingSummary, _ run: ToolRun) {
    run.count("steps", summary.steps - summary.firstStep)
    run.note("seconds_per_step", .number(summary.secondsPerStep))
    let metrics = { (values: [String: Double]) in
      JSON.object(values.filter { $0.value.isFinite }.mapValues { .number($0) })
    }
    run.note("first_validation", metrics(summary.firstValidation))
    run.note("validation", metrics(summary.validation))
    run.say(
      "\(files.run): \(summary.steps - summary.firstStep) steps, \(rounded(summary.secondsPerStep)) s each"
    )
  }
}
