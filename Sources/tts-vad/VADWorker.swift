import Audio
import AudioRecords
import Base
import Filters
import Records

/// Trims or splits the parts of each recording as one.
struct VADWorker: RecordWorker {
  let threshold: Double
  let rules: SegmentRules
  let splits: Bool
  let failsOnError: Bool

  /// What one recording needs from part to part; nil before its first part.
  struct State {
    var recording: (any SpeechRecording)?
  }

  func initialState(id: String) -> State { State() }

  func process(_ record: Record, _ state: inout State) throws -> [Record] {
    if state.recording == nil { state.recording = try begin(record) }
    guard var recording = state.recording else { return [] }
    // Only one may hold the samples, or each change would copy them.
    state.recording = nil
    defer { state.recording = recording }
    guard record.part != nil else {
      // A whole recording that fails stays as it was.
      let outputs = try recording.add(record) + recording.end()
      guard !outputs.isEmpty else { throw Failure.noSpeech(record.id) }
      return outputs
    }
    if let reason = recording.failure { return [recording.rejected(record, reason)] }
    do {
      var outputs = try recording.add(record)
      guard record.isLastPart else { return outputs }
      outputs += try recording.end()
      if !outputs.isEmpty || recording.hasOutput { return outputs }
      guard !failsOnError else { throw Failure.noSpeech(record.id) }
      return [recording.silence(Failure.noSpeech(record.id).problem)]
    } catch let failure as Failure where failure.kind == .badInput && !failsOnError {
      // Parts that are out may be fewer than came in: the rest must be numbered after them.
      return try recording.giveUp() + [recording.rejected(record, failure.problem)]
    }
  }

  func passRejected(_ record: Record, _ state: inout State) throws -> [Record] {
    guard var recording = state.recording else { return [record] }
    state.recording = nil
    defer { state.recording = recording }
    return try recording.giveUp() + [recording.rejected(record, nil)]
  }

  private func begin(_ record: Record) throws -> any SpeechRecording {
    let rate = try record.statedRate()
    let detector = try SpeechDetector(rate: rate, threshold: threshold)
    let channels = try record.samples().count
    return splits
      ? SplitRecording(first: record, rate: rate, channels: channels, detector, rules)
      : TrimRecording(first: record, rate: rate, channels: channels, detector, rules)
  }
}

/// One recording on its way through the detector.
protocol SpeechRecording {
  /// Why it was given up.
  var failure: String? { get }
  /// Whether a record of it is out.
  var hasOutput: Bool { get }
  /// Takes the next part and gives what is certain.
  mutating func add(_ record: Record) throws -> [Record]
  /// Gives the rest; nothing at all when there was no speech.
  mutating func end() throws -> [Record]
  /// Gives the good records that were held back before a part that cannot be used.
  mutating func giveUp() throws -> [Record]
  /// A part that cannot be used, as a record that may follow those that are out.
  ///
  /// - Parameter reason: added to it, unless it has one.
  mutating func rejected(_ record: Record, _ reason: String?) -> Record
  /// What stands for a recording of several parts without speech.
  mutating func silence(_ reason: String) -> Record
}

extension Failure {
  static func noSpeech(_ id: String) -> Failure {
    Failure(
      .badInput, record: id, problem: "no speech was found", remedy: "try a lower --threshold")
  }
}
