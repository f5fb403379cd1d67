import Base
import Processes
import Tensors

/// Computes the gradients of steps: each process those of its own micro-batches, whose sum all get.
struct StepGradients {
  private let lesson: any Lesson
  private let options: RunOptions
  private let group: ProcessGroup
  /// The micro-batches of a step that this process computes.
  private let share: Range<Int>
  private var upcoming: (number: Int, job: Job<any MicroBatch>)?

  init(_ lesson: any Lesson, _ options: RunOptions, _ group: ProcessGroup) {
    self.lesson = lesson
    self.options = options
    self.group = group
    let count = options.accumulate / group.size
    share = group.rank * count..<(group.rank + 1) * count
  }

  /// The gradients of the next step and the means of its metrics; moves the buffers.
  ///
  /// - Throws: in all processes the failure of any.
  mutating func compute(
    _ state: inout TrainingState
  ) throws -> (gradients: GradientSum, metrics: MetricMeans) {
    let first = state.step * options.accumulate
    var reports: [[String: Double]] = []
    for micro in 0..<share.lowerBound { try passOver(first + micro, &state) }
    var sum = try GradientSum.overTree(share) { micro in
      let batch = try microBatch(first + micro)
      let report = try batch.learn(input(state))
      state.buffers = report.buffers
      reports.append(report.metrics)
      return state.parameters.names.map { report.gradients[$0] }
    }
    for micro in share.upperBound..<options.accumulate { try passOver(first + micro, &state) }
    try sum.combine(over: group, of: state.parameters)
    var metrics = MetricMeans()
    for report in try group.gather(reports).joined() { metrics.add(report, weight: 1) }
    return (sum, metrics)
  }

  private func input(_ state: TrainingState) -> LearningInput {
    LearningInput(
      step: state.step + 1, parameters: state.parameters, buffers: state.buffers,
      accumulate: options.accumulate)
  }

  /// Leaves a micro-batch to another process; the buffers move with it all the same.
  private mutating func passOver(_ number: Int, _ state: inout TrainingState) throws {
    guard lesson.changesBuffers(step: state.step + 1) else { return }
    state.buffers = try microBatch(number).buffers(after: input(state))
  }

  // MARK: Reading

  /// A micro-batch; the next one that this process needs is read in the meantime.
  private mutating func microBatch(_ number: Int) throws -> any MicroBatch {
    let lesson = lesson
    func job(_ number: Int) -> Job<any MicroBatch> {
      Job { try ThreadBudget.alone { try lesson.microBatch(number) } }
    }
    let current = upcoming?.number == number ? upcoming?.job : nil
    let batch = try (current ?? job(number)).value()
    let all = options.steps * options.accumulate
    upcoming = (number + 1..<max(all, number + 1)).first(where: isNeeded).map { ($0, job($0)) }
    return batch
  }

  private func isNeeded(_ number: Int) -> Bool {
    let (step, micro) = number.quotientAndRemainder(dividingBy: options.accumulate)
    return share.contains(micro) || lesson.changesBuffers(step: step + 1)
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
