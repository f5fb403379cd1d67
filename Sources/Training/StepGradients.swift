import Base
import ModelInterface
import Processes
import Tensors

/// Computes the gradients of steps: each process those of its own micro-batches, whose sum all get.
struct StepGradients {
  private let trainable: any Trainable
  /// The parameters that do not train.
  private let constants: [String: Tensor]
  private let options: TrainingOptions
  private let group: ProcessGroup
  private let loader: ExampleLoader
  private let plan: BatchPlan
  /// What the frozen part of the model makes of all utterances; nil where it is computed each time.
  private let features: FeatureCache?
  /// The micro-batches of a step that this process computes.
  private let share: Range<Int>
  private var upcoming: (number: Int, job: Job<[TrainingExample]>)?

  init(
    trainable: any Trainable, constants: [String: Tensor], options: TrainingOptions,
    training: Corpus, features: FeatureCache?, group: ProcessGroup
  ) {
    self.trainable = trainable
    self.constants = constants
    self.options = options
    self.group = group
    self.features = features
    loader = ExampleLoader(training, options.examples)
    plan = BatchPlan(training, options)
    let count = options.accumulate / group.size
    share = group.rank * count..<(group.rank + 1) * count
  }

  /// The gradients of the next step and the means of its metrics; moves the statistics.
  ///
  /// - Throws: in all processes the failure of any.
  mutating func compute(
    _ state: inout TrainingState
  ) throws -> (gradients: GradientSum, metrics: MetricMeans) {
    let first = state.step * options.accumulate
    var reports: [[String: Double]] = []
    for micro in 0..<share.lowerBound { try passOver(first + micro, &state) }
    var sum = try GradientSum.overTree(share) { micro in
      let batch = try examples(first + micro)
      moveStatistics(towards: batch, &state)
      let (gradients, report) = try microBatch(batch, number: first + micro, state)
      reports.append(report)
      return gradients
    }
    for micro in share.upperBound..<options.accumulate { try passOver(first + micro, &state) }
    try sum.combine(over: group, of: state.parameters)
    var metrics = MetricMeans()
    for report in try group.gather(reports).joined() { metrics.add(report, weight: 1) }
    return (sum, metrics)
  }

  private func microBatch(
    _ batch: [TrainingExample], number: Int, _ state: TrainingState
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

  // MARK: Statistics

  private func movesStatistics(_ step: Int) -> Bool {
    options.statistics == .ema && step < options.statisticsSteps
  }

  private func moveStatistics(towards batch: [TrainingExample], _ state: inout TrainingState) {
    guard movesStatistics(state.step) else { return }
    state.buffers.merge(
      trainable.buffers(
        state.buffers, movedTowards: batch, decay: options.statisticsDecay)
    ) { $1 }
  }

  /// Leaves a micro-batch to another process; the statistics move with it all the same.
  private mutating func passOver(_ number: Int, _ state: inout TrainingState) throws {
    guard movesStatistics(state.step) else { return }
    moveStatistics(towards: try examples(number), &state)
  }

  // MARK: Reading

  /// The examples of a micro-batch; the next one that this process needs is read in the meantime.
  private mutating func examples(_ number: Int) throws -> [TrainingExample] {
    let (loader, plan, features, seed) = (loader, plan, features, options.seed)
    func job(_ number: Int) -> Job<[TrainingExample]> {
      Job {
        try ThreadBudget.alone {
          let batch = plan.batch(number)
          return try features.map { features in
            try batch.map { try features.example($0, seed: seed) }
          } ?? loader.examples(batch, seed: seed, variesPrompts: true)
        }
      }
    }
    let current = upcoming?.number == number ? upcoming?.job : nil
    let batch = try (current ?? job(number)).value()
    let all = options.steps * options.accumulate
    upcoming = (number + 1..<max(all, number + 1)).first(where: isNeeded).map { ($0, job($0)) }
    return batch
  }

  private func isNeeded(_ number: Int) -> Bool {
    let (step, micro) = number.quotientAndRemainder(dividingBy: options.accumulate)
    return share.contains(micro) || movesStatistics(step)
  }
}

extension ProcessGroup {
  /// The metrics of all processes, in the order of ranks.
  func gather(_ reports: [[String: Double]]) throws -> [[[String: Double]]] {
    guard size > 1 else { return [reports] }
    // Bit by bit: a metric may be infinite.
    let bits = reports.map { report in
      JSON.object(report.mapValues { .integer(Int64(bitPattern: $0.bitPattern)) })
    }
    return try gather(JSON.array(bits).canonicalBytes).map { bytes in
      (try JSON.parse(bytes).array ?? []).map { report in
        (report.object ?? [:]).compactMapValues(\.integer)
          .mapValues { Double(bitPattern: UInt64(bitPattern: Int64($0))) }
      }
    }
  }
}
