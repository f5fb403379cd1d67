import Base
import Filters
import ModelInterface
import Records
import Speaking

/// Says several utterances at a time; what comes of them leaves in the order of the input.
struct BatchRun: Sendable {
  private typealias Units = OrderedUnits<Utterance, Event>

  private enum Event {
    case header(StreamHeader)
    case passed(Record)
    case begun
    case opened(Record)
    case samples([Float])
    case closed
    case rejected(Record, Failure)
    case failed(any Error)
    /// There is no more input, for a failure or because all was read.
    case inputEnded((any Error)?)
  }

  /// Bytes of speech that may wait for what comes before it.
  private static let heldBytes = 64 << 20

  private let count: Int
  private let speaker: Speaker

  init(_ count: Int, _ speaker: Speaker) {
    self.count = count
    self.speaker = speaker
  }

  /// Says all utterances.
  func perform(_ utterances: Utterances, _ outcome: inout Outcome) throws {
    let units = Units(bounds: .init(units: 8 * count, bytes: Self.heldBytes))
    startThread(named: "reader") { read(utterances, into: units) }
    for index in 0..<count {
      startThread(named: "speaker \(index)") {
        units.work { utterance, unit in say(utterance, of: unit, in: units) }
      }
    }
    let sink = outcome.sink
    try units.drain { event in
      switch event {
      case .header(let header): try sink.follow(header)
      case .passed(let record): try sink.pass(record)
      case .begun: outcome.begin()
      case .opened(let record): try sink.open(record)
      case .samples(let samples): try sink.write(samples)
      case .closed: try sink.close()
      case .rejected(let record, let failure): try outcome.reject(record, failure)
      case .failed(let error): throw error
      case .inputEnded(let error?):
        sink.relay(from: utterances.input)
        throw error
      case .inputEnded(nil): sink.add(from: utterances.input.digest)
      }
    }
  }

  private func read(_ utterances: Utterances, into units: Units) {
    var failure: (any Error)?
    do {
      var header: StreamHeader?
      while var utterance = try utterances.next() {
        if header != utterances.input.header {
          header = utterances.input.header
          guard units.pass([.header(utterances.input.header)], size: 0) else { return }
        }
        if utterance.record.isRejected {
          var record: Record? = utterance.record
          while let part = record {
            guard units.pass([.passed(part)], size: part.byteCount) else { return }
            record = try utterances.nextPart()
          }
          continue
        }
        if let text = utterance.record.text, utterance.failure == nil {
          do {
            utterance.record.text = try Speaker.whole(text, utterances.nextText)
          } catch let failure as Failure where failure.kind == .badInput {
            utterance.failure = failure
          }
        }
        guard let unit = units.open(),
          units.add(utterance, size: utterance.record.byteCount, to: unit, isLast: true)
        else { return }
      }
    } catch {
      failure = error
    }
    _ = units.pass([.inputEnded(failure)], size: 0)
    units.close()
  }

  private func say(_ utterance: Utterance, of unit: Units.Unit, in units: Units) {
    let sink = EventSink(unit: unit, units: units)
    do {
      try sink.emit(.begun)
      try speaker.say(utterance, { nil }, into: sink)
    } catch let failure as Failure where failure.kind == .badInput {
      try? sink.emit(.rejected(utterance.record, failure))
    } catch {
      try? sink.emit(.failed(error))
    }
  }

  /// An utterance's place in the order.
  private final class EventSink: UtteranceSink {
    private let unit: Units.Unit
    private let units: Units

    init(unit: Units.Unit, units: Units) {
      self.unit = unit
      self.units = units
    }

    func open(_ record: Record) throws { try emit(.opened(record), size: record.byteCount) }
    func write(_ samples: [Float]) throws { try emit(.samples(samples), size: 4 * samples.count) }
    func close() throws { try emit(.closed) }

    func emit(_ event: Event, size: Int = 0) throws {
      // The others go on while this one waits for room.
      let isTaken =
        units.emitNow(event, size: size, from: unit)
        ?? CurrentSpeechBatch.stepOut { units.emit(event, size: size, from: unit) }
      guard isTaken else { throw RunStopped() }
    }
  }

  /// The run was stopped elsewhere.
  private struct RunStopped: Error {}
}
