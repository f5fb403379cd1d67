import Audio
import AudioRecords
import Base
import Filters
import Records
import Safetensors

/// Resamples the parts of each recording as one.
struct ResampleWorker: RecordWorker {
  let rate: Int
  let toMono: Bool
  let useSinc: Bool
  let loudness: Double?
  let codec: SampleCodec

  /// What one recording needs from part to part.
  struct State {
    var from = 0
    var resamplers: [any Resampler] = []
    var nextPart = 0
  }

  func initialState(id: String) -> State { State() }

  func process(_ record: Record, _ state: inout State) throws -> [Record] {
    let from = try record.statedRate()
    var channels = try record.samples()
    if toMono, channels.count > 1 { channels = [mono(channels)] }
    if record.part ?? 0 == 0 {
      state = State(from: from, resamplers: try channels.map { _ in try resampler(from: from) })
    }
    guard from == state.from, channels.count == state.resamplers.count else {
      throw Failure.partsDisagree(record.id)
    }
    for index in channels.indices {
      var output = try state.resamplers[index].process(channels[index])
      if record.isLastPart { output += try state.resamplers[index].finish() }
      channels[index] = output
    }
    if let loudness {
      guard record.part == nil else { throw Failure.loudnessOfParts(record.id) }
      try level(&channels, to: loudness)
    }
    return try store(channels, in: record, &state)
  }

  private func resampler(from: Int) throws -> any Resampler {
    useSinc
      ? try SincResampler(from: from, to: rate) : try ReferenceResampler(from: from, to: rate)
  }

  private func level(_ channels: inout [[Float]], to target: Double) throws {
    var meter = try LoudnessMeter(rate: rate, channels: channels.count)
    meter.process(channels)
    let peak = channels.reduce(Float(0)) { $1.reduce($0) { max($0, abs($1)) } }
    let gain = loudnessGain(measured: meter.integrated, target: target, peak: peak)
    for channel in channels.indices {
      for index in channels[channel].indices { channels[channel][index] *= gain }
    }
  }

  /// One record, or several where the new rate makes one too large.
  private func store(
    _ channels: [[Float]], in record: Record, _ state: inout State
  ) throws -> [Record] {
    var cutter = PartCutter(
      limit: partFrames(rate: rate, channels: channels.count), channels: channels.count)
    var pieces = cutter.add(channels)
    pieces.append(cutter.finish())
    return try pieces.enumerated().map { index, piece in
      var output = index == 0 ? record : record.continuation
      try output.setSamples(piece, rate: rate, codec: codec)
      let isLast = record.isLastPart && index == pieces.count - 1
      if record.part != nil || pieces.count > 1 {
        output.part = state.nextPart
        output.isLastPart = isLast
        state.nextPart += 1
      }
      return output
    }
  }
}

extension Record {
  /// A record of the same recording without what belongs to it as a whole.
  fileprivate var continuation: Record {
    var record = self
    record.arrays = [:]
    record.text = nil
    return record
  }
}

extension Failure {
  static func loudnessOfParts(_ id: String) -> Failure {
    Failure(
      .badInput, record: id, problem: "the loudness of a recording in parts is known too late",
      remedy: "cut it with tts-vad --mode split first")
  }
}
