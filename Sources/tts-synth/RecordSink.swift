import AudioRecords
import Base
import Filters
import Records

/// The records that were said, with their audio; long speech in several parts.
final class RecordSink: SpeechSink {
  private let output: RecordOutput
  private let run: ToolRun
  private let parameters: StageParameters
  private let tool: ToolDescription
  private var header: StreamHeader?
  private var rate = 0
  private var record: Record?
  private var cutter = PartCutter(limit: 1, channels: 1)
  private var part = 0

  init(
    output: RecordOutput, stage: StageParameters, tool: ToolDescription, run: ToolRun
  ) {
    self.output = output
    self.run = run
    parameters = stage
    self.tool = tool
  }

  func begin(rate: Int) { self.rate = rate }

  func follow(_ header: StreamHeader) throws {
    guard header != self.header else { return }
    self.header = header
    try output.begin(header.appending(Stage(tool, parameters)))
  }

  func open(_ record: Record) {
    var record = record
    // What described the old audio says nothing about the new.
    for name in ["latents", "word_starts", "word_ends"] { record.arrays[name] = nil }
    for name in record.arrays.keys where name.hasPrefix("features.") { record.arrays[name] = nil }
    for key in ["audio_codec", "part", "part_last", "frame_rate"] { record.metadata[key] = nil }
    self.record = record
    cutter = PartCutter(limit: partFrames(rate: rate, channels: 1), channels: 1)
    part = 0
  }

  func write(_ samples: [Float]) throws {
    for samples in cutter.add([samples]) { try emit(samples, isLast: false) }
  }

  func close() throws {
    try emit(cutter.finish(), isLast: true)
    record = nil
  }

  private func emit(_ samples: [[Float]], isLast: Bool) throws {
    guard var record else { return }
    if part > 0 {
      record.text = nil
      record.arrays = [:]
    }
    if part > 0 || !isLast {
      record.part = part
      record.isLastPart = isLast
    }
    part += 1
    try record.setSamples(samples, rate: rate, codec: .pcm)
    try write(record)
  }

  func pass(_ record: Record) throws { try write(record) }

  func reject(_ record: Record, _ reason: String) throws {
    var record = record
    if part > 0, record.id == self.record?.id {
      // Parts were written: this one is the last of them.
      record = Record(id: record.id)
      record.part = part
      record.isLastPart = true
    }
    self.record = nil
    record.reject(reason)
    try write(record)
  }

  private func write(_ record: Record) throws {
    try output.write(record)
    run.count("written")
  }

  func add(from digest: SHA256Digest) { output.add(from: digest) }

  func finish() throws {
    if header == nil { try follow(StreamHeader()) }
    try output.finish()
  }

  func relay(from input: RecordInput) { output.relay(from: input) }
  func abort(_ error: any Error) { output.abort(error) }
}
