import Base
import Glibc
import Processes
import Tensors

/// The steps of a run. All that is random follows from the seed and the number of the micro-batch,
/// so that a continued run makes the same steps as an uninterrupted one.
struct TrainingLoop {
  private let lesson: any Lesson
  private let options: RunOptions
  private let group: ProcessGroup
  /// nil when nothing is to be written.
  private let log: ProgressLog?
  private let observer: TrainingObserver
  private var source: StepGradients
  private var state: TrainingState
  private var summary: TrainingSummary
  private let parameterGroups: [ParameterGroup]
  /// Where the parameters of each stand among all.
  private let places: [[Int]]

  init(
    lesson: any Lesson, options: RunOptions, state: consuming TrainingState, log: ProgressLog?,
    group: ProcessGroup, observer: TrainingObserver
  ) {
    self.lesson = lesson
    self.options = options
    self.log = log
    self.group = group
    self.observer = observer
    source = StepGradients(lesson, options, group)
    let names = state.parameters.names
    parameterGroups = lesson.groups
    places = parameterGroups.map { group in
      names.indices.filter { group.names.contains(names[$0]) }
    }
    let step = state.step
    self.state = consume state
    summary = TrainingSummary(
      steps: step, firstStep: step, validation: [:], firstValidation: [:],
      secondsPerStep: 0)
  }

  /// Runs to the last step, or until validation has found nothing better for as long as the options
  /// allow.
  ///
  /// - Parameters:
  ///   - save: writes a checkpoint and the model.
  ///   - saveBest: writes the model that did best in validation so far.
  ///   - sample: makes something to listen to, where it is time for that; false when it was interrupted.
  mutating func run(
    save: (TrainingState) throws -> Void, saveBest: (TrainingState) throws -> Void,
    sample: (_ state: TrainingState, _ isLast: Bool) throws -> Bool
  ) throws -> TrainingSummary {
    TensorMemory.kept = .max
    var saved = state.step
    let clock = StepClock(last: options.steps)
    while true {
      let step = state.step
      if try isStopped() {
        if saved != step { try write(save) }
        throw Failure.stopped
      }
      var isLast = step == options.steps
      if step % options.validEvery == 0 || isLast, log?.has("valid", step) != true {
        // A validation that is whole counts, with what follows from it, even if the run stops here.
        guard try validate() else { continue }
        if options.keepsBest, best?.step == step { try saveBest(state) }
        if try isStopped() { continue }
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

  /// The validation with the lowest loss, and how many have followed it.
  private var best: (step: Int, later: Int)? {
    guard let all = log?.validations else { return nil }
    let losses = all.map { validation in
      lesson.watched.lazy.compactMap { validation.metrics[$0] }.first ?? .infinity
    }
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

  /// Whether a signal has asked any of the processes to stop.
  private func isStopped() throws -> Bool { try group.agree(stops: observer.isInterrupted()) }

  private func write(_ save: (TrainingState) throws -> Void) throws {
    log?.synchronize()
    if group.size > 1 {
      let parameters = zip(state.parameters.names, state.parameters.values)
      try group.checkSame(digest(of: parameters.map { ($0, $1) }).bytes, "weights")
    }
    try save(state)
    if log?.has("checkpoint", state.step) == false {
      try log?.write("checkpoint", step: state.step)
    }
  }

  // MARK: One step

  private mutating func makeStep() throws -> Double {
    let start = Seconds.now()
    let (gradients, metrics) = try source.compute(&state)
    var line: [String: JSON] = [:]
    for index in places.indices { try move(index, gradients, &line) }
    let (parameters, decay) = (state.parameters, options.averageDecay)
    state.average?.average(with: parameters, decay: decay)
    state.step += 1
    let seconds = Seconds.now() - start
    line["seconds"] = .number(seconds)
    lastLoss = metrics.means["loss"]
    try log?.write("train", step: state.step, line, metrics: metrics.means)
    return seconds
  }

  /// Changes the parameters of a group; the first one counts every step, the others those with gradients.
  private mutating func move(
    _ index: Int, _ gradients: GradientSum, _ line: inout [String: JSON]
  ) throws {
    let (places, settings) = (places[index], parameterGroups[index])
    guard index == 0 || places.contains(where: { gradients.values[$0] != nil }) else { return }
    let norm = try gradients.norm(
      names: state.parameters.names, at: places, step: state.step + 1)
    let rate = settings.rate.rate(step: state.optimizers[index].steps, of: options.steps)
    state.optimizers[index].step(
      &state.parameters, gradients: gradients.values,
      scale: clipScale(norm: norm, limit: settings.clip), rate: rate)
    let suffix = index == 0 ? "" : "_" + settings.name
    line["lr" + suffix] = .number(rate)
    line["grad_norm" + suffix] = ProgressLog.number(norm)
  }

  // MARK: Validation

  /// The loss on held-out data, the same each time. The processes take batches in turn.
  ///
  /// - Returns: false when it was interrupted.
  private mutating func validate() throws -> Bool {
    let weights = lesson.validationWeights.prefix(options.validBatches)
    guard !weights.isEmpty else { return true }
    var own: [[String: Double]] = []
    for first in stride(from: 0, to: weights.count, by: group.size) {
      if try isStopped() { return false }
      let number = first + group.rank
      guard number < weights.count else { continue }
      observer.progress("step \(state.step): validation")
      own.append(
        try lesson.validate(
          number, parameters: state.parameters.dictionary, buffers: state.buffers))
    }
    let all = try group.gather(own)
    var metrics = MetricMeans()
    for (number, weight) in weights.enumerated() {
      metrics.add(all[number % group.size][number / group.size], weight: weight)
    }
    if summary.firstValidation.isEmpty { summary.firstValidation = metrics.means }
    summary.validation = metrics.means
    try log?.write("valid", step: state.step, metrics: metrics.means)
    let parts = metrics.means.sorted { $0.key < $1.key }.map { "\($0.key) \(rounded($0.value))" }
    observer.say("step \(state.step): held out: " + parts.joined(separator: ", "))
    return true
  }
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
