public import Tensors

/// A codec between waveform and latent frames.
public protocol AudioCodec: Sendable {
  /// Samples a second.
  var sampleRate: Int { get }
  /// Latent frames a second.
  var frameRate: Double { get }
  /// Samples a frame.
  var frameSize: Int { get }
  /// Channels of the encoder's latents.
  var latentWidth: Int { get }
  /// Whether what it encodes can be decoded again.
  var decodesItsLatents: Bool { get }
  /// A streaming encoder from a fresh start.
  func makeEncoder() -> any AudioEncoder
  /// A streaming decoder from a fresh start.
  func makeDecoder() -> any AudioDecoder
}

/// Encodes a waveform that arrives in pieces; how it is cut changes nothing.
public protocol AudioEncoder: Sendable {
  /// The latents that are ready now: `[frames, latentWidth]`; some frames may be held back.
  mutating func encode(_ samples: [Float]) -> Tensor
  /// The remaining latents, the last frame filled up with silence: `[frames, latentWidth]`.
  mutating func finish() -> Tensor
}

/// Decodes latents that arrive in pieces; how they are cut changes nothing.
public protocol AudioDecoder: Sendable {
  /// - Parameter latents: `[frames, latentWidth]`, not normalised.
  /// - Returns: frames times the frame size samples, nominally within ±1.
  mutating func decode(_ latents: Tensor) -> [Float]
}
