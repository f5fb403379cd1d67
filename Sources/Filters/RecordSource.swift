import Base
public import Records

/// A tool that makes a record stream out of something else (`tts-import`).
///
/// Units (utterances, recordings) are made in order; several are produced at a time, and their
/// records leave in order. A unit emits its records one by one, so that a recording of hours is
/// never in memory.
///
/// ```swift
/// @main
/// struct Words: RecordSource {
///   static let tool = ToolDescription(name: "tts-words", abstract: "A record per line of text.")
///   @Argument var files: [String] = []
///   @OptionGroup var stream: SourceOptions
///
///   func stage() -> StageParameters { StageParameters() }
///   func units(_ run: ToolRun) throws -> any Sequence<String> { try TextLines(paths: files) … }
///   func id(of line: String) -> String { line }
///   func produce(_ line: String, _ run: ToolRun, _ emit: (Record) throws -> Void) throws {
///     var record = Record(id: line)
///     record.text = line
///     try emit(record)
///   }
/// }
/// ```
public protocol RecordSource: Tool {
  /// What one worker makes records of.
  associatedtype Unit: Sendable
  /// The options that every source has.
  var stream: SourceOptions { get }

  /// Options and models that can change content. Reads no input.
  func stage() throws -> StageParameters

  /// Calls `take` for every unit in its order, on one thread. A failure thrown here ends the run.
  ///
  /// - Parameter take: answers false when the run has stopped and no more units are wanted.
  func forEachUnit(_ run: ToolRun, _ take: (Unit) -> Bool) throws

  /// The id of a unit's records, or of the first of them: decides about `--shard` and stands in
  /// messages.
  func id(of unit: Unit) -> String

  /// Makes the records of a unit, on any thread.
  ///
  /// - Throws: a `Failure` of kind `badInput` or `noInput` rejects the unit: a record of its id without
  ///   content but with the reason is written (and `rejectedRecord(of:)` says what else it holds).
  ///   What `emit` throws must be passed on.
  func produce(_ unit: Unit, _ run: ToolRun, _ emit: (Record) throws -> Void) throws

  /// What is known of a unit that could not be read: text, speaker, source.
  func rejectedRecord(of unit: Unit) -> Record
}

extension RecordSource {
  /// The options that every tool has.
  public var common: CommonOptions { stream.common }

  /// A record that holds nothing but the id.
  public func rejectedRecord(of unit: Unit) -> Record { Record(id: id(of: unit)) }

  /// Runs the source.
  public func execute(_ run: ToolRun) throws {
    if stream.stageID.isAsked { return try printStageID(Stage(Self.tool, stage())) }
    let output = try RecordOutput(stream.output, run)
    do {
      let stage = try Stage(Self.tool, stage())
      try output.begin(StreamHeader().appending(stage))
      try produceAll(run, output, stage)
      try output.finish()
    } catch {
      output.abort(error)
      throw error
    }
  }

  private func produceAll(_ run: ToolRun, _ output: RecordOutput, _ stage: Stage) throws {
    let units = OrderedUnits<Unit, StreamEvent>(bounds: .init(threads: run.options.threads))
    let source = Unchecked(value: self)
    startThread(named: "reader") {
      let source = source.value
      do {
        try source.forEachUnit(run) { value in
          guard source.stream.shard?.contains(id: source.id(of: value)) ?? true else { return true }
          guard let unit = units.open() else { return false }
          return units.add(value, size: 0, to: unit, isLast: true)
        }
      } catch {
        _ = units.pass([.failure(error)], size: 0)
      }
      units.close()
    }
    for index in 0..<run.options.threads {
      startThread(named: "worker \(index)") {
        ThreadBudget.alone {
          units.work { value, unit in source.value.make(value, of: unit, in: units, run) }
        }
      }
    }
    var writer = EventWriter(output: output, run: run, rejects: stream.rejects)
    defer { writer.report() }
    try units.drain { try writer.take($0) }
    try writer.end(stage)
  }

  private func make(
    _ value: Unit, of unit: OrderedUnits<Unit, StreamEvent>.Unit,
    in units: OrderedUnits<Unit, StreamEvent>, _ run: ToolRun
  ) {
    func emit(_ event: StreamEvent, size: Int = 0) throws {
      guard units.emit(event, size: size, from: unit) else { throw Stopped() }
    }
    var emitted: Record?
    do {
      try emit(.id)
      do {
        try produce(value, run) { record in
          emitted = record
          try emit(.progress(seconds: record.seconds ?? 0))
          try emit(.made(record, path: ""), size: record.byteCount)
        }
      } catch let failure as Failure where [.badInput, .noInput].contains(failure.kind) {
        var failure = failure
        failure.record = failure.record ?? id(of: value)
        guard stream.rejects.onError == .reject else { throw failure }
        try emit(rejection(of: value, after: emitted, failure))
      }
    } catch is Stopped {
    } catch {
      try? emit(.failure(error))
    }
  }

  /// The record that says why a unit could not be read. Where parts of it were already written, it
  /// is their last part.
  private func rejection(of value: Unit, after emitted: Record?, _ failure: Failure) -> StreamEvent
  {
    var record = rejectedRecord(of: value)
    if let emitted, !emitted.isLastPart, let part = emitted.part {
      record = Record(id: emitted.id)
      record.part = part + 1
      record.isLastPart = true
    }
    let reason = "\(Self.tool.name): \(failure.problem)"
    record.reject(reason)
    return .rejected(record, reason: reason, isFirst: true)
  }
}

/// The run has stopped: thrown through a source's code to end it.
private struct Stopped: Error {}

/// A tool's options never change after parsing.
private struct Unchecked<Value>: @unchecked Sendable { let value: Value }
