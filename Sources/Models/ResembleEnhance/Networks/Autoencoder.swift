import NeuralNetworks
import Tensors

/// The autoencoder of log-mel frames: implicit rank-minimising (Jing, Zbontar and LeCun, 2020). Four
/// matrices without anything between them stand in front of the latents; training makes them of low
/// rank.
struct Autoencoder: Sendable {
  private let encoder: Stack
  private let bottleneck: [Convolution]
  private let decoder: Stack
  private let last: Convolution

  init(_ weights: Weights, _ sizes: EnhancerSizes) throws {
    let width = sizes.autoencoderWidth
    encoder = try Stack(weights["encoder"], inputs: sizes.mels, width: width)
    bottleneck = try Convolution.chain(
      (5...8).map { weights["encoder"][$0] },
      widths: [width] + [Int](repeating: sizes.latents, count: 4))
    decoder = try Stack(weights["decoder"], inputs: sizes.latents, width: width)
    last = try Convolution(
      weights["decoder"][5], inputs: width, outputs: sizes.decoded, .same(kernel: 1))
  }

  /// - Parameter mel: normalised, `[batch, frames, bands]`.
  /// - Returns: latents between -1 and 1, `[batch, frames, latents]`.
  func encode(_ mel: Tensor) -> Tensor {
    bottleneck.reduce(encoder(mel)) { $1($0) }.tanh()
  }

  /// - Parameter latents: `[batch, frames, latents]`.
  /// - Returns: what the vocoder reads, `[batch, frames, bands and extra channels]`.
  func decode(_ latents: Tensor) -> Tensor { last(decoder(latents)) }

  /// A convolution and four residual blocks.
  private struct Stack: Sendable {
    let first: Convolution
    let blocks: [ResidualBlock]

    init(_ weights: Weights, inputs: Int, width: Int) throws {
      first = try Convolution(weights[0], inputs: inputs, outputs: width, .same(kernel: 3))
      blocks = try (1...4).map { try ResidualBlock(weights[$0], channels: width) }
    }

    func callAsFunction(_ x: Tensor) -> Tensor { blocks.reduce(first(x)) { $1($0) } }
  }
}

/// x and what four normed and dilated convolutions make of it.
struct ResidualBlock: Sendable {
  private let layers: [NormedConvolution]

  init(_ weights: Weights, channels: Int) throws {
    layers = try [1, 2, 4, 8].enumerated().map { index, dilation in
      try NormedConvolution(
        norm: weights[3 * index], groups: 32, weights[3 * index + 2], channels: channels,
        .same(kernel: 3, dilation: dilation), isNormed: true)
    }
  }

  /// - Parameter x: `[batch, frames, channels]`.
  func callAsFunction(_ x: Tensor) -> Tensor {
    layers.reduce(x) { $1($0) }.adding(x)
  }
}

/// What the autoencoder's training loss looks at: a log-mel frame of what it decoded.
struct MelHead: Sendable {
  private let wide: Convolution
  private let narrow: Convolution

  init(_ weights: Weights, _ sizes: EnhancerSizes) throws {
    wide = try Convolution(
      weights[0], inputs: sizes.decoded, outputs: sizes.autoencoderWidth, .same(kernel: 3))
    narrow = try Convolution(
      weights[2], inputs: sizes.autoencoderWidth, outputs: sizes.mels, .same(kernel: 1))
  }

  /// - Returns: `[batch, frames, bands]`, normalised.
  func callAsFunction(_ decoded: Tensor) -> Tensor { narrow(wide(decoded).exactGELU()) }
}
