import NeuralNetworks
import Tensors

/// The network of the denoiser: a U-Net over frequencies and frames (Ronneberger et al., 2015) whose blocks
/// are pre-activation residual ones (He et al., 2016).
///
/// Each level has half the rows, half the columns and twice the channels of the one above. What an encoder
/// makes is added where the decoder comes back to its size.
struct UNet: Sendable {
  private let inputProjection: Convolution
  private let encoders: [UNetBlock]
  private let middle: [UNetBlock]
  private let decoders: [UNetBlock]
  private let head: (wide: Convolution, narrow: Convolution)

  /// - Parameters:
  ///   - width: channels of the first level.
  ///   - levels: encoders and decoders.
  ///   - middle: blocks between them.
  init(_ weights: Weights, width: Int, levels: Int, middle: Int) throws {
    let deepest = width << levels
    inputProjection = try .over3x3(weights["input_proj"], inputs: 3, outputs: width)
    encoders = try (0..<levels).map { level in
      let inputs = width << level
      return try UNetBlock(weights["encoder_blocks"][level], inputs: inputs, outputs: 2 * inputs)
    }
    self.middle = try (0..<middle).map { block in
      try UNetBlock(weights["middle_blocks"][block], inputs: deepest, outputs: deepest)
    }
    decoders = try (0..<levels).map { level in
      let inputs = deepest >> level
      return try UNetBlock(weights["decoder_blocks"][level], inputs: inputs, outputs: inputs / 2)
    }
    head = (
      try .over3x3(weights["head"][0], inputs: width, outputs: width),
      try Convolution(
        weights["head"][2], inputs: width, outputs: 3, ConvolutionShape(kernel: .init(1, 1)))
    )
  }

  /// - Parameter x: `[batch, bins, frames, 3]`.
  /// - Returns: the same shape.
  func callAsFunction(_ x: Tensor) -> Tensor {
    let (bins, frames) = (x.shape[1], x.shape[2])
    let step = 1 << encoders.count
    var x = inputProjection(
      x.pixels(rows: padded(bins, to: step), columns: padded(frames, to: step)))
    var skips: [Tensor] = []
    for encoder in encoders {
      x = encoder(x)
      skips.append(x)
      x = x.pixels(
        rows: (0..<x.shape[1] / 2).map { 2 * $0 }, columns: (0..<x.shape[2] / 2).map { 2 * $0 })
    }
    for block in middle { x = block(x) }
    for (decoder, skip) in zip(decoders, skips.reversed()) {
      let larger = x.pixels(
        rows: (0..<2 * x.shape[1]).map { $0 / 2 }, columns: (0..<2 * x.shape[2]).map { $0 / 2 })
      x = decoder(larger.adding(skip))
    }
    x = head.narrow(head.wide(x).exactGELU())
    return x.pixels(rows: Array(0..<bins), columns: Array(0..<frames))
  }

  /// Indices, and -1 for zeros up to a multiple.
  private func padded(_ count: Int, to multiple: Int) -> [Int] {
    (0..<(count + multiple - 1) / multiple * multiple).map { $0 < count ? $0 : -1 }
  }
}

/// A convolution to another number of channels, and two residual blocks.
private struct UNetBlock: Sendable {
  private let first: Convolution
  private let residuals: [[NormedConvolution]]

  /// Each group of a norm has so many channels.
  private static let group = 16

  init(_ weights: Weights, inputs: Int, outputs: Int) throws {
    first = try .over3x3(weights["pre_conv"], inputs: inputs, outputs: outputs)
    residuals = try ["res_block1", "res_block2"].map { name in
      try [0, 3].map { place in
        try NormedConvolution(
          norm: weights[name][place], groups: max(1, outputs / Self.group),
          weights[name][place + 2], channels: outputs, .over3x3)
      }
    }
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    residuals.reduce(first(x)) { x, layers in
      layers.reduce(x) { $1($0) }.adding(x)
    }
  }
}

extension Convolution {
  /// Three by three taps that keep the size.
  fileprivate static func over3x3(
    _ weights: Weights, inputs: Int, outputs: Int
  ) throws -> Convolution {
    try Convolution(weights, inputs: inputs, outputs: outputs, .over3x3)
  }
}

extension ConvolutionShape {
  fileprivate static let over3x3 = ConvolutionShape(kernel: .init(3, 3), padding: .init(1, 1))
}

extension Tensor {
  /// Rows and columns of images `[batch, height, width, channels]` chosen by index; -1 gives zeros.
  fileprivate func pixels(rows: [Int], columns: [Int]) -> Tensor {
    let (height, width) = (shape[1], shape[2])
    if rows == Array(0..<height), columns == Array(0..<width) { return self }
    var indices: [Int32] = []
    indices.reserveCapacity(shape[0] * rows.count * columns.count)
    for image in 0..<shape[0] {
      for row in rows {
        let start = (image * height + row) * width
        for column in columns {
          indices.append(row < 0 || column < 0 ? -1 : Int32(start + column))
        }
      }
    }
    return gatherRows(indices).reshaped([shape[0], rows.count, columns.count, self.columns])
  }
}
