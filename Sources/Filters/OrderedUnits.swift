import Base

/// The ordered, bounded pool behind filters and sources.
///
/// A *unit* is what one worker handles from its begin to its end: all parts of an id, or one
/// utterance to import. Units are opened in order by one reader thread, worked on by several threads,
/// and their outputs leave in order through `drain`. Whoever is ahead of what may be held in memory
/// waits: the reader, and a worker whose unit is not the first one.
///
/// No deadlock: parts are added to the newest unit only, so whoever looks for work finds the oldest
/// open unit first, and the oldest unit's outputs are always taken.
public final class OrderedUnits<Input, Output>: @unchecked Sendable {
  /// Memory that may wait in queues.
  public struct Bounds {
    var units: Int
    var bytes: Int

    /// So many units that were not handed out yet, and so many bytes of inputs and of outputs.
    public init(units: Int, bytes: Int) {
      self.units = units
      self.bytes = bytes
    }

    init(threads: Int) {
      units = 16 + 8 * threads
      bytes = (1 + threads) * (12 << 20)
    }
  }

  /// One unit; its fields are guarded by the pool's monitor.
  public final class Unit {
    fileprivate var inputs: [(value: Input, size: Int)] = []
    fileprivate var outputs: [Output] = []
    fileprivate var outputBytes = 0
    fileprivate var isComplete = false
    fileprivate var isBusy = false
    fileprivate var isFinished = false
    /// What the worker keeps from one part to the next; touched by the thread that has the unit.
    var memory: Any?
  }

  private struct State {
    var units: [Unit] = []
    /// Index in `units` of the first one not yet drained: popping from the front is rare.
    var first = 0
    var runnable: [Unit] = []
    var inputBytes = 0
    var outputBytes = 0
    var isClosed = false
    var isStopped = false

    var head: Unit? { first < units.count ? units[first] : nil }
  }

  private let bounds: Bounds
  private let state = Monitor(State())

  /// A pool without units.
  public init(bounds: Bounds) {
    self.bounds = bounds
    let state = state
    Interruption.onRequest { state.wake() }
  }

  // MARK: The reader's side

  /// Opens a unit after all others; nil when the run has stopped.
  public func open() -> Unit? {
    state.wait { state -> Unit?? in
      if state.isStopped { return .some(nil) }
      guard state.units.count - state.first < bounds.units else { return nil }
      let unit = Unit()
      state.units.append(unit)
      return unit
    }
  }

  /// Adds an input to the newest unit; false when the run has stopped.
  public func add(_ input: Input, size: Int, to unit: Unit, isLast: Bool) -> Bool {
    state.wait { state in
      if state.isStopped { return false }
      guard state.inputBytes == 0 || state.inputBytes + size <= bounds.bytes else { return nil }
      unit.inputs.append((input, size))
      unit.isComplete = isLast
      state.inputBytes += size
      if !unit.isBusy, unit.inputs.count == 1 { state.runnable.append(unit) }
      return true
    }
  }

  /// Opens a unit that needs no work; false when the run has stopped.
  public func pass(_ outputs: [Output], size: Int) -> Bool {
    guard let unit = open() else { return false }
    return state.wait { state in
      if state.isStopped { return false }
      guard state.head === unit || state.outputBytes + size <= bounds.bytes else { return nil }
      unit.outputs = outputs
      unit.outputBytes = size
      unit.isComplete = true
      unit.isFinished = true
      state.outputBytes += size
      return true
    }
  }

  /// Ends a unit that was cut short: what it has is worked on, nothing follows.
  func cutShort(_ unit: Unit) {
    state.withLock { _ in
      unit.isComplete = true
      if !unit.isBusy, unit.inputs.isEmpty { unit.isFinished = true }
    }
  }

  /// Says that no unit follows.
  public func close() { state.withLock { $0.isClosed = true } }

  // MARK: The workers' side

  /// Works until all units are finished or the run stops.
  public func work(_ body: (Input, Unit) -> Void) {
    while let unit = takeUnit() {
      while let input = takeInput(of: unit) { body(input, unit) }
    }
  }

  private func takeUnit() -> Unit? {
    state.wait { state -> Unit?? in
      if state.isStopped { return .some(nil) }
      if !state.runnable.isEmpty {
        let unit = state.runnable.removeFirst()
        unit.isBusy = true
        return unit
      }
      return state.isClosed && state.units[state.first...].allSatisfy { $0.isComplete }
        ? .some(nil) : nil
    }
  }

  private func takeInput(of unit: Unit) -> Input? {
    state.withLock { state in
      guard !state.isStopped, !unit.inputs.isEmpty else {
        unit.isBusy = false
        unit.isFinished = unit.isComplete
        return nil
      }
      let (input, size) = unit.inputs.removeFirst()
      state.inputBytes -= size
      return input
    }
  }

  /// Adds an output of a unit in work; false when the run has stopped.
  public func emit(_ output: Output, size: Int, from unit: Unit) -> Bool {
    state.wait { emit(output, size: size, from: unit, &$0) }
  }

  /// Adds an output of a unit in work if there is room now; nil when there is none.
  public func emitNow(_ output: Output, size: Int, from unit: Unit) -> Bool? {
    state.withLock { emit(output, size: size, from: unit, &$0) }
  }

  private func emit(
    _ output: Output, size: Int, from unit: Unit, _ state: inout State
  ) -> Bool? {
    if state.isStopped { return false }
    let held = state.head === unit ? unit.outputBytes : state.outputBytes
    guard held == 0 || held + size <= bounds.bytes else { return nil }
    unit.outputs.append(output)
    unit.outputBytes += size
    state.outputBytes += size
    return true
  }

  // MARK: The writer's side

  /// Hands out all outputs in order, until the last unit is drained.
  ///
  /// - Throws: what `body` throws, or `interrupted` after a signal.
  public func drain(_ body: (Output) throws -> Void) throws {
    defer { stop() }
    while true {
      let outputs: [Output]? = try state.wait { state in
        try Interruption.check()
        guard let unit = state.head else { return state.isClosed ? .some(nil) : nil }
        guard !unit.outputs.isEmpty || unit.isFinished else { return nil }
        defer {
          state.outputBytes -= unit.outputBytes
          unit.outputBytes = 0
          unit.outputs = []
          if unit.isFinished {
            state.first += 1
            if state.first >= 256 {
              state.units.removeFirst(state.first)
              state.first = 0
            }
          }
        }
        return unit.outputs
      }
      guard let outputs else { return }
      for output in outputs { try body(output) }
    }
  }

  /// Lets all threads go.
  func stop() { state.withLock { $0.isStopped = true } }
}
