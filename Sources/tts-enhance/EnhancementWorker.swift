import Audio
import AudioRecords
import Base
import Filters
import Records
import Safetensors

/// Enhances the parts of each recording as one.
struct EnhancementWorker: RecordWorker {
  let path: EnhancementPath
  let codec: SampleCodec
  let failsOnError: Bool
  let run: ToolRun

  /// What one recording needs from part to part; nil before its first part.
  struct State {
    var recording: EnhancedRecording?
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
      return try recording.add(record) + recording.end()
    }
    if let reason = recording.failure { return [recording.rejected(record, reason)] }
    do {
      let outputs = try recording.add(record)
      return record.isLastPart ? try outputs + recording.end() : outputs
    } catch let failure as Failure where failure.kind == .badInput && !failsOnError {
      // What came before is still held back, and is whole.
      return try recording.giveUp() + [recording.rejected(record, failure.problem)]
    }
  }

  func passRejected(_ record: Record, _ state: inout State) throws -> [Record] {
    guard var recording = state.recording else { return [record] }
    state.recording = nil
    defer { state.recording = recording }
    return try recording.giveUp() + [recording.rejected(record, nil)]
  }

  private func begin(_ record: Record) throws -> EnhancedRecording {
    let from = try record.statedRate()
    return EnhancedRecording(
      from: from, to: path.rate, codec: codec,
      stream: try path.begin(from: from) { [run] _ in try run.checkInterrupted() })
  }
}

/// A recording on its way through the model. Its samples come out later than they go in: each part waits until all of
/// its own are there.
struct EnhancedRecording {
  private let from: Int
  private let to: Int
  private let codec: SampleCodec
  private var stream: EnhancementPath.Stream
  /// Parts without samples, and the output sample that each ends at.
  private var waiting: [(record: Record, end: Int)] = []
  /// Output samples that are in no part yet, and how many are.
  private var ready: [Float] = []
  private var given = 0
  private var samples = 0
  private var nextPart = 0
  /// Why the recording was given up.
  private(set) var failure: String?

  init(from: Int, to: Int, codec: SampleCodec, stream: EnhancementPath.Stream) {
    self.from = from
    self.to = to
    self.codec = codec
    self.stream = stream
  }

  /// Takes the next part and gives those that are complete.
  mutating func add(_ record: Record) throws -> [Record] {
    guard try record.statedRate() == from else { throw Failure.partsDisagree(record.id) }
    let input = mono(try record.samples())
    samples += input.count
    guard samples > 0 || !record.isLastPart else {
      throw Failure(
        .badInput, problem: "the audio is empty", remedy: "remove the recording or reject it")
    }
    ready += try stream.enhance(input)
    var template = record
    // What described the old audio says nothing about the new.
    for name in record.arrays.keys
    where ["audio", "latents"].contains(name) || name.hasPrefix("features.") {
      template.arrays[name] = nil
    }
    for key in ["audio_codec", "frame_rate"] { template.metadata[key] = nil }
    let (whole, rest) = samples.quotientAndRemainder(dividingBy: from)
    waiting.append((template, whole * to + rest * to / from))
    return try complete()
  }

  private mutating func complete() throws -> [Record] {
    var records: [Record] = []
    // Only the end of the recording completes its last part.
    while let first = waiting.first, !first.record.isLastPart, first.end <= given + ready.count {
      records += try output(first.end - given, isLast: false)
    }
    return records
  }

  /// Gives the rest.
  mutating func end() throws -> [Record] {
    ready += try stream.finish()
    var records = try complete()
    if !waiting.isEmpty { records += try output(ready.count, isLast: true) }
    return records
  }

  /// Gives the good parts that were held back before one that cannot be used.
  mutating func giveUp() throws -> [Record] {
    guard failure == nil else { return [] }
    failure = "an earlier part was rejected"
    ready += try stream.finish()
    var records: [Record] = []
    while let first = waiting.first {
      let end = waiting.count > 1 ? min(first.end, given + ready.count) : given + ready.count
      records += try output(end - given, isLast: false)
    }
    return records
  }

  /// The first waiting part with samples: a record, or several where the rate makes one too large.
  private mutating func output(_ count: Int, isLast: Bool) throws -> [Record] {
    let part = waiting.removeFirst().record
    var cutter = PartCutter(limit: partFrames(rate: to, channels: 1), channels: 1)
    var pieces = cutter.add([Array(ready[..<count])])
    pieces.append(cutter.finish())
    ready.removeFirst(count)
    given += count
    return try pieces.enumerated().map { index, piece in
      var record = part
      if index > 0 {
        record.arrays = [:]
        record.text = nil
      }
      try record.setSamples(piece, rate: to, codec: codec)
      if part.part != nil || pieces.count > 1 {
        record.part = nextPart
        record.isLastPart = isLast && index == pieces.count - 1
        nextPart += 1
      }
      return record
    }
  }

  /// A part that cannot be used, as a record that may follow those that are out.
  ///
  /// - Parameter reason: added to it, unless it has one.
  mutating func rejected(_ record: Record, _ reason: String?) -> Record {
    var record = record
    if let reason, !record.isRejected { record.reject("\(Enhance.tool.name): \(reason)") }
    record.part = nextPart
    nextPart += 1
    return record
  }
}
