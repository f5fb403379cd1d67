import Base
public import Safetensors

/// How the `audio` array of a record holds its samples.
public enum AudioEncoding: Sendable, Equatable {
  /// F32 in ±1, `[channels, samples]`.
  case float
  /// I16, full scale 32768, `[channels, samples]`.
  case integer
  /// The bytes of a FLAC file.
  case flac
}

extension Record {
  /// How the audio is held; nil where there is none, or in no known form.
  public var audioEncoding: AudioEncoding? {
    guard let audio = arrays["audio"] else { return nil }
    switch (audio.type, audio.shape.count, metadata["audio_codec"]) {
    case (.f32, 2, nil): return .float
    case (.i16, 2, nil): return .integer
    case (.u8, 1, "flac"): return .flac
    default: return nil
    }
  }

  /// The samples of each channel, in ±1; FLAC is decoded by the `Audio` module, not here.
  ///
  /// - Throws: `badInput` when there is no audio, or FLAC, or an unknown form.
  public func audio() throws -> [[Float]] {
    guard let audio = arrays["audio"] else { throw Failure.noAudio(id: id) }
    let values: [Float]
    switch audioEncoding {
    case .float: values = try audio.floats()
    case .integer: values = try audio.floats().map { $0 / 32768 }
    case .flac, nil: throw Failure.audioForm(id: id)
    }
    let count = audio.shape[1]
    if audio.shape[0] == 1 { return [values] }
    return (0..<audio.shape[0]).map { Array(values[$0 * count..<($0 + 1) * count]) }
  }

  /// Replaces the audio.
  ///
  /// - Parameters:
  ///   - channels: samples in ±1, all channels equally long.
  ///   - rate: samples a second.
  ///   - type: `.f32`, or `.i16` (rounded, limited to full scale).
  public mutating func setAudio(_ channels: [[Float]], rate: Int, type: ElementType = .f32) {
    precondition(type == .f32 || type == .i16, "audio is F32 or I16")
    let count = channels.first?.count ?? 0
    precondition(channels.allSatisfy { $0.count == count }, "channels are equally long")
    let values = channels.count == 1 ? channels[0] : channels.flatMap { $0 }
    let shape = [channels.count, count]
    if type == .i16 {
      arrays["audio"] = ArrayData(
        values.map { Int16(max(-32768, min(32767, ($0 * 32768).rounded(.toNearestOrEven)))) },
        shape: shape)
    } else {
      arrays["audio"] = ArrayData(values, shape: shape)
    }
    metadata["audio_codec"] = nil
    sampleRate = rate
  }

  /// Samples a channel, whatever the form (FLAC says it in its header); nil where it is not known.
  public var audioSampleCount: Int? {
    guard let audio = arrays["audio"] else { return nil }
    switch audioEncoding {
    case .float, .integer: return audio.shape[0] > 0 ? audio.shape[1] : nil
    case .flac: return Record.flacSampleCount(audio.bytes)
    case nil: return nil
    }
  }

  /// The sample count of a FLAC file's stream information, which stands at a fixed place.
  static func flacSampleCount(_ bytes: [UInt8]) -> Int? {
    guard bytes.count >= 42, bytes.starts(with: Array("fLaC".utf8)), bytes[4] & 0x7F == 0 else {
      return nil
    }
    let count = bytes[22..<26].reduce(Int(bytes[21] & 0x0F)) { $0 << 8 | Int($1) }
    return count > 0 ? count : nil
  }

  /// Seconds of audio, or of latents where there is no audio; nil where neither is known.
  public var seconds: Double? {
    if let count = audioSampleCount, let rate = sampleRate, rate > 0 {
      return Double(count) / Double(rate)
    }
    if let count = latentFrameCount, let rate = frameRate, rate > 0 { return Double(count) / rate }
    return nil
  }

  /// Frames of `latents`; nil where there are none.
  public var latentFrameCount: Int? {
    guard let latents = arrays["latents"], latents.shape.count == 2, latents.shape[1] > 0 else {
      return nil
    }
    return latents.shape[0]
  }
}
