import Audio
public import Base
public import Records
import Safetensors

/// How a tool stores the samples of a record: `--codec`.
public enum SampleCodec: String, Sendable, CaseIterable {
  /// Float32.
  case pcm
  /// 16-bit integers.
  case i16
  /// FLAC of 16 bits.
  case flac
}

extension Record {
  /// The samples of each channel in ±1, whatever form they are stored in.
  ///
  /// - Throws: `badInput` when there is no audio, it is damaged, or a sample is not a finite number.
  public func samples() throws -> [[Float]] {
    guard audioEncoding == .flac, let array = arrays["audio"] else {
      let channels = try audio()
      if audioEncoding == .float { try checkFinite(channels, path: "audio", position: 0) }
      return channels
    }
    let (channels, rate) = try FLAC.decode(array.bytes)
    if let sampleRate, sampleRate != rate { throw Failure.ratesDisagree(id, sampleRate, rate) }
    return channels
  }

  /// Replaces the samples. FLAC without samples does not exist: that is stored as float32.
  public mutating func setSamples(
    _ channels: [[Float]], rate: Int, codec: SampleCodec
  ) throws {
    guard codec == .flac, let count = channels.first?.count, count > 0 else {
      return setAudio(channels, rate: rate, type: codec == .i16 ? .i16 : .f32)
    }
    arrays["audio"] = ArrayData(try FLAC.encode(channels, rate: rate))
    metadata["audio_codec"] = "flac"
    sampleRate = rate
  }

  /// The codec that the samples are stored in now.
  public var sampleCodec: SampleCodec {
    switch audioEncoding {
    case .integer: .i16
    case .flac: .flac
    case .float, nil: .pcm
    }
  }

  /// The sample rate.
  ///
  /// - Throws: `badInput` when the record does not say it, or says something impossible.
  public func statedRate() throws -> Int {
    guard let rate = sampleRate, sampleRates.contains(rate) else { throw Failure.noRate(id) }
    return rate
  }
}

/// The most seconds of audio in one record.
public let partSeconds = 60
/// The most bytes of float32 audio in one record.
public let partBytes = 16 << 20

/// The most samples of each channel that one record takes.
public func partFrames(rate: Int, channels: Int) -> Int {
  max(1, min(partSeconds * rate, partBytes / (4 * max(1, channels))))
}

extension Failure {
  static func noRate(_ id: String) -> Failure {
    Failure(
      .badInput, record: id, problem: "the audio has no usable sample_rate",
      remedy: "import the recording again")
  }

  static func ratesDisagree(_ id: String, _ stated: Int, _ actual: Int) -> Failure {
    Failure(
      .badInput, record: id, problem: "sample_rate is \(stated), the FLAC audio says \(actual)",
      remedy: "import the recording again")
  }

  /// Parts of one recording that do not fit each other.
  public static func partsDisagree(_ id: String) -> Failure {
    Failure(
      .badInput, record: id, problem: "rate or channels change within the recording",
      remedy: "import the recording again")
  }
}
