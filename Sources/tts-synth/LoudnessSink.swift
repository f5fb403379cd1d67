import Audio
import Base
import Filters
import Records

/// Brings each utterance to a loudness before it passes it on, for which it must have it whole.
final class LoudnessSink: SpeechSink {
  /// The longest utterance that is held.
  private static let longestSeconds = 3600

  private let sink: any SpeechSink
  private let target: Double
  private var rate = 0
  private var samples: [Float] = []

  /// - Parameter target: LUFS.
  init(_ sink: any SpeechSink, target: Double) {
    self.sink = sink
    self.target = target
  }

  func begin(rate: Int) throws {
    self.rate = rate
    try sink.begin(rate: rate)
  }

  func open(_ record: Record) throws {
    samples = []
    try sink.open(record)
  }

  func write(_ samples: [Float]) throws {
    guard self.samples.count + samples.count <= Self.longestSeconds * rate else {
      throw Failure.utteranceTooLong(seconds: Self.longestSeconds)
    }
    self.samples += samples
  }

  func close() throws {
    var meter = try LoudnessMeter(rate: rate, channels: 1)
    meter.process([samples])
    let peak = samples.reduce(0) { max($0, abs($1)) }
    let gain = loudnessGain(measured: meter.integrated, target: target, peak: peak)
    try sink.write(samples.map { $0 * gain })
    samples = []
    try sink.close()
  }

  func follow(_ header: StreamHeader) throws { try sink.follow(header) }
  func pass(_ record: Record) throws { try sink.pass(record) }
  func reject(_ record: Record, _ reason: String) throws { try sink.reject(record, reason) }
  func add(from digest: SHA256Digest) { sink.add(from: digest) }
  func finish() throws { try sink.finish() }
  func relay(from input: RecordInput) { sink.relay(from: input) }
  func abort(_ error: any Error) { sink.abort(error) }
}
