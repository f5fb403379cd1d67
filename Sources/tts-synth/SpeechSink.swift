import Audio
import AudioRecords
import Base
import Filters
import Records

/// Where speech goes: samples one after another, or records.
protocol SpeechSink: AnyObject {
  /// The rate of all that follows.
  func begin(rate: Int)
  /// The header of the stream that the next record came from.
  func follow(_ header: StreamHeader) throws
  /// Starts an utterance.
  func open(_ record: Record) throws
  /// Adds samples to it.
  func write(_ samples: [Float]) throws
  /// Ends the utterance.
  func close() throws
  /// A record that was rejected before.
  func pass(_ record: Record) throws
  /// A record that cannot be said.
  func reject(_ record: Record, _ reason: String) throws
  /// The digest of the input.
  func add(from digest: SHA256Digest)
  /// All was said.
  func finish() throws
  /// It went wrong.
  ///
  /// - Parameter input: what was being read, whose failure is passed on as it is.
  func abort(_ error: any Error, reading input: RecordInput?)
}

/// Samples of all utterances, one after another, as they are made.
final class SampleSink: SpeechSink {
  enum Encoding { case wav, int16, float32 }
  private let output: ByteOutput
  private let encoding: Encoding
  private var wav: WAVWriter?

  init(path: String?, encoding: Encoding) throws {
    output = try ByteOutput(path: path, isBinary: true)
    self.encoding = encoding
  }

  func begin(rate: Int) {
    if encoding == .wav {
      wav = WAVWriter(
        descriptor: output.descriptor, path: output.path, rate: rate)
    }
  }
  func follow(_ header: StreamHeader) {}
  func open(_ record: Record) {}
  func close() {}
  func pass(_ record: Record) {}
  func reject(_ record: Record, _ reason: String) {}
  func add(from digest: SHA256Digest) {}

  func write(_ samples: [Float]) throws {
    switch encoding {
    case .wav: try wav?.write(samples)
    case .int16:
      try int16TowardZero(samples).withUnsafeBytes { try output.write(Array($0)) }
      try output.flush()
    case .float32:
      try samples.withUnsafeBytes { try output.write(Array($0)) }
      try output.flush()
    }
  }

  func finish() throws {
    try wav?.finish()
    try output.finish()
  }

  func abort(_ error: any Error, reading input: RecordInput?) { output.discard() }
}

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

  func close() throws { try emit(cutter.finish(), isLast: true) }

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

  func abort(_ error: any Error, reading input: RecordInput?) {
    if let input { output.relay(from: input) }
    output.abort(error)
  }
}
