import Base
import Records

/// One run of a filter: reader thread, workers, and the caller's thread as the writer.
struct FilterRun<Worker: RecordWorker>: Sendable {
  private typealias Units = OrderedUnits<Job, StreamEvent>

  /// A record to work on, and where it came from.
  private struct Job {
    var record: Record
    var path: String
  }

  /// What a worker keeps between the parts of an id.
  private final class Memory {
    var state: Worker.State?
    var rejection: String?
  }

  let tool: ToolDescription
  let parameters: StageParameters
  let worker: Worker
  let rejects: RejectOptions
  let run: ToolRun
  /// Whether the worker splits its work among all threads, and is alone.
  let splitsWork: Bool

  init(
    tool: ToolDescription, parameters: StageParameters, worker: Worker, rejects: RejectOptions,
    run: ToolRun, splitsWork: Bool
  ) {
    self.splitsWork = splitsWork
    self.tool = tool
    self.parameters = parameters
    self.worker = worker
    self.rejects = rejects
    self.run = run
  }

  /// Filters all records of the input to the output.
  func perform(_ input: RecordCursor, _ output: RecordOutput) throws {
    let threads = splitsWork ? 1 : run.options.threads
    let units = Units(bounds: .init(threads: threads))
    let stage = Stage(tool, parameters)
    let share = Locked<Double?>(nil)
    startThread(named: "reader") { read(input, into: units, stage: stage, share) }
    for index in 0..<threads {
      startThread(named: "worker \(index)") {
        let loop = { units.work { job, unit in work(on: job, of: unit, in: units) } }
        if splitsWork { loop() } else { ThreadBudget.alone(loop) }
      }
    }
    var writer = EventWriter(output: output, run: run, rejects: rejects, share: share)
    defer { writer.report() }
    try units.drain { try writer.take($0) }
    try writer.end(stage)
  }

  // MARK: Reading

  private func read(
    _ input: RecordCursor, into units: Units, stage: Stage, _ share: Locked<Double?>
  ) {
    var unit: Units.Unit?
    var header: StreamHeader?
    do {
      while let record = try input.next() {
        let known = input.share
        share.withLock { $0 = known }
        if header != input.header {
          header = input.header
          guard units.pass([.header(input.header.appending(stage))], size: 0) else { return }
        }
        let size = record.byteCount
        if unit == nil, record.isRejected, record.isLastPart {
          guard units.pass([.passed(record)], size: size) else { return }
          continue
        }
        if unit == nil { unit = units.open() }
        guard let open = unit else { return }
        let isLast = record.isLastPart
        guard units.add(Job(record: record, path: input.path), size: size, to: open, isLast: isLast)
        else { return }
        if isLast { unit = nil }
      }
      // An input without records has a header all the same.
      if header == nil, input.hasHeader {
        _ = units.pass([.header(input.header.appending(stage))], size: 0)
      }
      _ = units.pass([.inputDigest(input.digest)], size: 0)
    } catch {
      if let unit { units.cutShort(unit) }
      if let abort = input.upstreamAbort { _ = units.pass([.upstreamAbort(abort)], size: 0) }
      _ = units.pass([.failure(error)], size: 0)
    }
    units.close()
  }

  // MARK: Working

  private func work(on job: Job, of unit: Units.Unit, in units: Units) {
    let memory = unit.memory as? Memory ?? Memory()
    unit.memory = memory
    func emit(_ event: StreamEvent, size: Int = 0) { _ = units.emit(event, size: size, from: unit) }
    if job.record.part ?? 0 == 0 { emit(.id) }
    do {
      if let reason = job.record.rejections.last ?? memory.rejection {
        memory.rejection = memory.rejection ?? reason
        for event in try passed(job.record, reason, memory) { emit(event.0, size: event.1) }
        return
      }
      var state = try memory.state ?? worker.initialState(id: job.record.id)
      memory.state = nil
      var outputs = try worker.process(job.record, &state)
      if job.record.isLastPart { outputs += try worker.finish(&state) }
      memory.state = state
      emit(.progress(seconds: job.record.seconds ?? 0))
      for record in outputs { emit(.made(record, path: job.path), size: record.byteCount) }
    } catch let failure as Failure where failure.kind == .badInput {
      var failure = failure.about(job.path)
      failure.record = failure.record ?? job.record.id
      guard rejects.onError == .reject else { return emit(.failure(failure)) }
      let reason = "\(tool.name): \(failure.problem)"
      memory.rejection = reason
      emit(rejected(job.record, reason, isFirst: true), size: job.record.byteCount)
    } catch {
      emit(.failure(error))
    }
  }

  /// A rejected record goes by; a worker that has begun with its id may have to renumber it.
  private func passed(
    _ record: Record, _ reason: String, _ memory: Memory
  ) throws -> [(StreamEvent, Int)] {
    guard var state = memory.state else {
      let event: StreamEvent =
        record.isRejected ? .passed(record) : rejected(record, reason, isFirst: false)
      return [(event, record.byteCount)]
    }
    var marked = record
    if !record.isRejected { marked.reject(reason) }
    memory.state = nil
    defer { memory.state = state }
    return try worker.passRejected(marked, &state).map {
      ($0.isRejected ? .passed($0) : .made($0, path: ""), $0.byteCount)
    }
  }

  private func rejected(_ record: Record, _ reason: String, isFirst: Bool) -> StreamEvent {
    var record = record
    record.reject(reason)
    return .rejected(record, reason: reason, isFirst: isFirst)
  }
}
