public import ModelInterface
import Tensors

/// Frames encoded at a time: enough rows for fast products, little enough to stay in the cache.
private let encoderBlock = 8
/// Frames decoded at a time when many are at hand.
private let decoderBlock = 12

extension Mimi: AudioCodec {
  /// Samples a second.
  public var sampleRate: Int { configuration.sampleRate }
  /// Latent frames a second.
  public var frameRate: Double { configuration.frameRate }
  /// Samples a frame.
  public var frameSize: Int { configuration.frameSize }
  /// Channels of the encoder's latents.
  public var latentWidth: Int { configuration.innerDimension }
  /// Whether what it encodes can be decoded again.
  public var decodesItsLatents: Bool {
    configuration.innerDimension == configuration.latentDimension
  }

  /// A streaming encoder from a fresh start.
  public func makeEncoder() -> any AudioEncoder {
    MimiEncoder(mimi: self, state: initialEncoderState())
  }

  /// A streaming decoder from a fresh start.
  public func makeDecoder() -> any AudioDecoder {
    MimiDecoder(mimi: self, state: initialDecoderState())
  }
}

struct MimiEncoder: AudioEncoder {
  let mimi: Mimi
  var state: Mimi.EncoderState
  private var pending: [Float] = []

  init(mimi: Mimi, state: Mimi.EncoderState) {
    self.mimi = mimi
    self.state = state
  }

  /// Only whole blocks, counted from the start, so that how the samples were cut changes no bit.
  mutating func encode(_ samples: [Float]) -> Tensor {
    pending += samples
    let block = encoderBlock * mimi.frameSize
    let whole = pending.count / block * block
    let latents = stride(from: 0, to: whole, by: block).map { start in
      encodeFrames(Array(pending[start..<start + block]))
    }
    pending.removeFirst(whole)
    return latents.isEmpty ? .zeros([0, mimi.latentWidth]) : concatenateRows(latents)
  }

  mutating func finish() -> Tensor {
    guard !pending.isEmpty else { return .zeros([0, mimi.latentWidth]) }
    let frames = (pending.count + mimi.frameSize - 1) / mimi.frameSize
    let silence = [Float](repeating: 0, count: frames * mimi.frameSize - pending.count)
    defer { pending = [] }
    return encodeFrames(pending + silence)
  }

  private mutating func encodeFrames(_ samples: [Float]) -> Tensor {
    mimi.encode(Tensor(samples, shape: [samples.count, 1]), state: &state).latents
  }
}

struct MimiDecoder: AudioDecoder {
  let mimi: Mimi
  var state: Mimi.DecoderState

  mutating func decode(_ latents: Tensor) -> [Float] {
    if latents.rows == 1 {
      return mimi.decode(latents, state: &state).waveform.values
    }
    var samples: [Float] = []
    samples.reserveCapacity(latents.rows * mimi.frameSize)
    for start in stride(from: 0, to: latents.rows, by: decoderBlock) {
      let block = latents.rows(start..<min(start + decoderBlock, latents.rows))
      samples += mimi.decode(block, state: &state).waveform.values
    }
    return samples
  }
}
