import Base
import Glibc
import ModelInterface
import Tensors

/// The steps of a run. All that is random follows from the seed and the number of the micro-batch,
/// so that a continued run makes the same steps as an uninterrupted one.
struct TrainingLoop {
  private let trainable: any Trainable
  /// The parameters that do not train.
  private let constants: [String: Tensor]
  private let options: TrainingOptions
  private let validation: Corpus?
  private let loader: ExampleLoader
  private let validationLoader: ExampleLoader?
  private let plan: BatchPlan
  /// nil when nothing is to be written.
  private let log: ProgressLog?
  private let observer: TrainingObserver
  private var state: TrainingState
  private var upcoming: (number: Int, job: Job<[TrainingExample]>)?
  private var summary: TrainingSummary

  /// The seed of validation: the same for all runs, so that they compare.
  private static let validationSeed: UInt64 = 0

  init(
    trainable: any Trainable, constants: [String: Tensor], options: TrainingOptions,
    training: Corpus, validation: Corpus?, state: TrainingState, log: ProgressLog?,
    observer: TrainingObserver
  ) {
    self.trainable = trainable
    self.constants = constants
    self.options = options
    self.validation = validation
    self.state = state
    self.log = log
    self.observer = observer
    loader = ExampleLoader(training, promptSeconds: options.promptSeconds)
    validationLoader = validation.map {
      ExampleLoader($0, promptSeconds: options.promptSeconds)
    }
    plan = BatchPlan(
      lengths: training.utterances.map { $0.frames + $0.tokens }, batch: options.batch,
      pool: options.bucketBatches, seed: options.seed)
    summary = TrainingSummary(
      steps: state.step, firstStep: state.step, validation: [:], firstValidation: [:],
      secondsPerStep: 0)
  }

  /// Runs to the last step, or until validation has found nothing better for as long as the options
  /// allow.
  ///
  /// - Parameters:
  ///   - save: writes a checkpoint and the model.
  ///   - saveBest: writes the model that did best in validation so far.
  ///   - sample: says something with the model, where it is time for that; false when it was interrupted.
  mutating func run(
    save: (TrainingState) throws -> Void, saveBest: (TrainingState) throws -> Void,
    sample: (_ state: TrainingState, _ isLast: Bool) throws -> Bool
  ) throws -> TrainingSummary {
    TensorMemory.kept = .max
    var saved = state.step
    let clock = StepClock(last: options.steps)
    while true {
      let step = state.step
      if observer.isInterrupted() {
        if saved != step { try write(save) }
        throw Failure.stopped
      }
      var isLast = step == options.steps
      if step % options.validEvery == 0 || isLast, log?.has("valid", step) != true {
        try validate()
        if observer.isInterrupted() { continue }
        if options.keepsBest, best?.step == step { try saveBest(state) }
      }
      if !isLast, let best, isExhausted {
        isLast = true
        observer.say("step \(step): held-out loss was lowest at step \(best.step); the run ends")
      }
      // The model of a finished run is written again: the process may have ended between the two.
      if isLast || (step % options.checkpointEvery == 0 && step != saved) {
        try write(save)
        saved = step
      }
      guard try sample(state, isLast) else { continue }
      if isLast { break }
      let seconds = try makeStep()
      clock.count(seconds)
      observer.progress(
        "step \(state.step) of \(options.steps)\(lossText), \(clock.remaining(from: state.step))")
    }
    summary.steps = state.step
    summary.secondsPerStep = clock.mean
    return summary
  }

  /// Makes some steps; seconds a step, without the first one, which begins reading.
  mutating func rehearse(steps: Int) throws -> Double {
    TensorMemory.kept = .max
    var seconds = 0.0
    for number in 0...steps {
      let taken = try makeStep()
      if number > 0 { seconds += taken }
    }
    return seconds / Double(steps)
  }

  /// The validation with the lowest loss, and how many have followed it. Of an LSD head it is the
  /// diagonal term, which compares between runs and holds no learned weight.
  private var best: (step: Int, later: Int)? {
    guard let all = log?.validations else { return nil }
    let losses = all.map { $0.metrics["flow_diag"] ?? $0.metrics["loss"] ?? .infinity }
    guard let lowest = losses.min(), let index = losses.firstIndex(of: lowest) else { return nil }
    return (all[index].step, all.count - 1 - index)
  }

  private var isExhausted: Bool {
    options.patience > 0 && (best?.later ?? 0) >= options.patience
  }

  private var lastLoss: Double?
  private var lossText: String {
    lastLoss.map { ", loss " + rounded($0) } ?? ""
  }

  private func write(_ save: (TrainingState) throws -> Void) throws {
    log?.synchronize()
    try save(state)
    if log?.has("checkpoint", state.step) == false {
      try log?.write("checkpoint", step: state.step)
    }
  }

  // MARK: One step

  private mutating func makeStep() throws -> Double {
    let start = Seconds.now()
    let step = state.step
    var gradients = GradientSum(count: state.parameters.names.count)
    var metrics = MetricMeans()
    for micro in 0..<options.accumulate {
      let number = step * options.accumulate + micro
      let batch = try examples(number)
      if options.statistics == .ema, step < TrainingOptions.statisticsSteps {
        state.buffers.merge(
          trainable.buffers(
            state.buffers, movedTowards: batch, decay: TrainingOptions.statisticsDecay)
        ) { $1 }
      }
      let (parts, report) = try microBatch(batch, number: number)
      gradients.add(parts)
      metrics.add(report, weight: 1)
    }
    let norm = try gradients.norm(names: state.parameters.names, step: step + 1)
    let rate = options.rate.rate(step: step, of: options.steps)
    state.optimizer.step(
      &state.parameters, gradients: gradients.values,
      scale: clipScale(norm: norm, limit: options.clip), rate: rate)
    let (parameters, decay) = (state.parameters, options.averageDecay)
    state.average?.average(with: parameters, decay: decay)
    state.step += 1
    let seconds = Seconds.now() - start
    lastLoss = metrics.means["loss"]
    try log?.write(
      "train", step: state.step,
      [
        "lr": .number(rate), "grad_norm": ProgressLog.number(norm),
        "seconds": .number(seconds),
      ], metrics: metrics.means)
    return seconds
  }

  private func microBatch(
    _ batch: [TrainingExample], number: Int
  ) throws -> ([Tensor?], [String: Double]) {
    let tape = Tape()
    let variables = state.parameters.values.map { tape.watch($0) }
    var random = RandomNumbers(seed: options.seed, name: "training \(number)")
    return try ProductPrecision.inBFloat16(options.usesBFloat16) {
      let report = try trainable.loss(
        of: batch,
        parameters: constants.merging(zip(state.parameters.names, variables)) { $1 },
        buffers: state.buffers, options: options.loss, isEvaluation: false, random: &random)
      guard report.loss.scalar.isFinite else {
        throw Failure.nonFiniteLoss(step: state.step + 1)
      }
      let loss =
        options.accumulate == 1 ? report.loss : report.loss * (1 / Float(options.accumulate))
      return (tape.gradients(of: loss, for: variables), report.metrics)
    }
  }

  /// The examples of a micro-batch; the next one is read in the meantime.
  private mutating func examples(_ number: Int) throws -> [TrainingExample] {
    let (loader, plan, seed) = (loader, plan, options.seed)
    func job(_ number: Int) -> Job<[TrainingExample]> {
      Job {
        try ThreadBudget.alone {
          try loader.examples(plan.batch(number), seed: seed, variesPrompts: true)
        }
      }
    }
    let current = upcoming?.number == number ? upcoming?.job : nil
    let batch = try (current ?? job(number)).value()
    let isLast = number + 1 == options.steps * options.accumulate
    upcoming = isLast ? nil : (number + 1, job(number + 1))
    return batch
  }

  // MARK: Validation

  /// The loss on held-out utterances: nothing is dropped, all terms are computed, and noise and
  /// times are the same each time.
  private mutating func validate() throws {
    guard let validation, let loader = validationLoader else { return }
    var metrics = MetricMeans()
    let batches = (validation.count + options.batch - 1) / options.batch
    for number in 0..<min(batches, options.validBatches) {
      if observer.isInterrupted() { return }
      observer.progress("step \(state.step): validation")
      let range = number * options.batch..<min(validation.count, (number + 1) * options.batch)
      let samples = range.map { BatchPlan.Sample(position: $0, utterance: $0) }
      let batch = try loader.examples(samples, seed: Self.validationSeed, variesPrompts: false)
      var random = RandomNumbers(seed: Self.validationSeed, name: "validation \(number)")
      let report = try trainable.loss(
        of: batch, parameters: constants.merging(state.parameters.dictionary) { $1 },
        buffers: state.buffers, options: options.loss, isEvaluation: true, random: &random)
      metrics.add(report.metrics, weight: Double(batch.reduce(0) { $0 + $1.latents.rows }))
    }
    if summary.firstValidation.isEmpty { summary.firstValidation = metrics.means }
    summary.validation = metrics.means
    try log?.write("valid", step: state.step, metrics: metrics.means)
    let parts = metrics.means.sorted { $0.key < $1.key }.map { "\($0.key) \(rounded($0.value))" }
    observer.say("step \(state.step): held out: " + parts.joined(separator: ", "))
  }
}

/// Means of metrics, each over the batches that had it.
struct MetricMeans {
  private var sums: [String: (sum: Double, weight: Double)] = [:]

  mutating func add(_ metrics: [String: Double], weight: Double) {
    for (name, value) in metrics {
      let old = sums[name] ?? (0, 0)
      sums[name] = (old.sum + weight * value, old.weight + weight)
    }
  }

  var means: [String: Double] { sums.mapValues { $0.weight > 0 ? $0.sum / $0.weight : 0 } }
}

/// How long steps take.
private final class StepClock {
  private let last: Int
  private var total = 0.0
  private var count = 0
  private var smoothed: Double?

  init(last: Int) { self.last = last }

  func count(_ seconds: Double) {
    total += seconds
    count += 1
    smoothed = smoothed.map { 0.95 * $0 + 0.05 * seconds } ?? seconds
  }

  var mean: Double { count > 0 ? total / Double(count) : 0 }

  func remaining(from step: Int) -> String {
    guard let smoothed else { return "" }
    let seconds = Int(smoothed * Double(last - step))
    let time =
      seconds < 120
      ? "\(seconds) s" : seconds < 7200 ? "\(seconds / 60) min" : "\(seconds / 3600) h"
    return "\(rounded(smoothed)) s a step, \(time) left"
  }
}

enum Seconds {
  /// Seconds of a clock that only goes forwards.
  static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}

/// A number with four significant digits.
public func rounded(_ value: Double) -> String {
  var text = [CChar](repeating: 0, count: 32)
  let count = withVaList([value]) { vsnprintf(&text, text.count, "%.4g", $0) }
  return String(
    decoding: text.prefix(max(0, Int(count))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
