import Audio
import Base
import Filters
import Records

/// Where the speech of an utterance goes.
protocol UtteranceSink: AnyObject {
  /// Starts an utterance.
  func open(_ record: Record) throws
  /// Adds samples to it.
  func write(_ samples: [Float]) throws
  /// Ends the utterance.
  func close() throws
}

/// Where all speech goes: samples one after another, or records.
protocol SpeechSink: UtteranceSink {
  /// The rate of all that follows.
  func begin(rate: Int) throws
  /// The header of the stream that the next record came from.
  func follow(_ header: StreamHeader) throws
  /// A record that was rejected before.
  func pass(_ record: Record) throws
  /// A record that cannot be said, or not to its end.
  func reject(_ record: Record, _ reason: String) throws
  /// The digest of the input.
  func add(from digest: SHA256Digest)
  /// All was said.
  func finish() throws
  /// The failure of the input, if an upstream tool wrote one, is to be passed on as it is.
  func relay(from input: RecordInput)
  /// It went wrong.
  func abort(_ error: any Error)
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

  func relay(from input: RecordInput) {}
  func abort(_ error: any Error) { output.discard() }
}
