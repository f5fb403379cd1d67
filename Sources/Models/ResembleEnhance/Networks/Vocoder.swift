import Base
import NeuralNetworks
import Tensors

/// From decoded frames and noise to a waveform: UnivNet (Jang et al., 2021), whose convolutions get their
/// kernels from the frames, with the anti-aliased periodic activations of BigVGAN (Lee et al., 2023).
struct Vocoder: Sendable {
  private let first: Convolution
  private let blocks: [VocoderBlock]
  private let last: Convolution

  /// Samples for one step of a block's input.
  private static let strides = [7, 5, 4, 3]
  /// Samples of a frame.
  static let hop = 420
  /// Channels of the noise.
  static let noiseWidth = 128
  /// Frames of silence behind the signal.
  static let extraFrames = 10

  init(_ weights: Weights, _ sizes: EnhancerSizes) throws {
    let width = sizes.vocoderWidth
    first = try Convolution(
      weights["conv_pre"], inputs: Self.noiseWidth, outputs: width, ConvolutionShape(kernel: 7),
      isNormed: true)
    blocks = try Self.strides.enumerated().map { index, stride in
      try VocoderBlock(weights["blocks"][index], stride: stride, sizes)
    }
    last = try Convolution(
      weights["conv_post"][1].inFloat32, inputs: width, outputs: 1, ConvolutionShape(kernel: 7),
      isNormed: true)
  }

  /// - Parameters:
  ///   - frames: `[batch, frames, decoded channels]`.
  ///   - noise: `[batch, frames + 10, 128]`.
  ///   - onStep: called now and then; what it throws ends the work.
  /// - Returns: `[batch, frames * 420]`, between -1 and 1.
  func callAsFunction(
    _ frames: Tensor, noise: Tensor, onStep: () throws -> Void
  ) rethrows -> Tensor {
    let (batch, count) = (frames.shape[0], frames.shape[1])
    let condition = frames.withSteps(0..<count + Self.extraFrames)
    var x = first(noise.reflected(3))
    for (index, block) in blocks.enumerated() {
      try onStep()
      x =
        try index < 2 || x.isRecorded || condition.isRecorded
        ? block(x, condition, onStep: onStep) : block.inParts(x, condition, onStep: onStep)
    }
    let samples = last(x.leakyReLU().reflected(3)).tanh()
    return samples.withSteps(0..<count * Self.hop).reshaped([batch, count * Self.hop])
  }

  /// What noise becomes before the first block, for tests.
  func beforeBlocks(_ noise: Tensor) -> Tensor { first(noise.reflected(3)) }
}

/// A block of the vocoder: upsampling, an activation block, and four convolutions with kernels of the frames.
struct VocoderBlock: Sendable {
  let up: TransposedConvolution
  let activations: ActivationBlock
  let predictor: KernelPredictor
  private let convolutions: [Convolution]

  init(_ weights: Weights, stride: Int, _ sizes: EnhancerSizes) throws {
    let width = sizes.vocoderWidth
    up = try TransposedConvolution(
      weights["convt_pre"][1], inputs: width, outputs: width, stride: stride, isNormed: true)
    activations = try ActivationBlock(weights["amp_block"], channels: width)
    predictor = try KernelPredictor(weights["kernel_predictor"], sizes)
    convolutions = try [1, 3, 9, 27].enumerated().map { index, dilation in
      try Convolution(
        weights["conv_blocks"][index][1], inputs: width, outputs: width,
        .same(kernel: 3, dilation: dilation), isNormed: true)
    }
  }

  /// - Parameters:
  ///   - x: `[batch, steps, channels]`, as many steps for each frame.
  ///   - condition: `[batch, frames, decoded channels]`.
  /// - Returns: `[batch, steps * stride, channels]`.
  func callAsFunction(
    _ x: Tensor, _ condition: Tensor, onStep: () throws -> Void
  ) rethrows -> Tensor {
    try apply(x, features: predictor.features(condition), onStep: onStep)
  }

  private func apply(
    _ x: Tensor, features: Tensor, onStep: () throws -> Void
  ) rethrows -> Tensor {
    var x = activations(up(x.leakyReLU()))
    for (layer, convolution) in convolutions.enumerated() {
      try onStep()
      let y = convolution(x.leakyReLU()).leakyReLU()
      x = predictor.convolve(y, features, layer: layer).gated(tanhIsFirst: false).adding(x)
    }
    return x
  }
}

extension VocoderBlock {
  /// Frames of a part, and those around it that it is made of as well. No sample depends on one that is 74
  /// or more away, half a frame at these rates; the kernels of the outermost frame are those of an end.
  private static let part = 64
  private static let around = 2

  /// The same in parts: a signal at these rates takes much memory.
  func inParts(
    _ x: Tensor, _ condition: Tensor, onStep: () throws -> Void
  ) rethrows -> Tensor {
    let frames = condition.shape[1]
    let steps = x.shape[1] / frames
    let features = predictor.features(condition)
    let parts = try stride(from: 0, to: frames, by: Self.part).map { first in
      let range = first..<min(frames, first + Self.part)
      let near =
        max(0, range.lowerBound - Self.around)..<min(frames, range.upperBound + Self.around)
      let y = try apply(
        x.withSteps(near.lowerBound * steps..<near.upperBound * steps),
        features: features.withSteps(near), onStep: onStep)
      let hop = y.shape[1] / near.count
      return y.withSteps(
        (range.lowerBound - near.lowerBound) * hop..<(range.upperBound - near.lowerBound) * hop)
    }
    return concatenateColumns(parts.map { $0.reshaped([x.shape[0], $0.count / x.shape[0]]) })
      .reshaped([x.shape[0], parts.reduce(0) { $0 + $1.shape[1] }, x.columns])
  }
}

/// Predicts, from the frames around each frame, the kernels of four convolutions.
struct KernelPredictor: Sendable {
  private let input: Convolution
  private let residuals: [[Convolution]]
  /// One for each convolution: all values of a frame's kernel.
  private let kernels: [Convolution]
  private let biases: [Convolution]
  private let outputs: Int

  static let layers = 4
  static let taps = 3

  init(_ weights: Weights, _ sizes: EnhancerSizes) throws {
    let (width, channels) = (sizes.predictorWidth, sizes.vocoderWidth)
    outputs = 2 * channels
    input = try Convolution(
      weights["input_conv"][0], inputs: sizes.decoded, outputs: width, .same(kernel: 5),
      isNormed: true)
    residuals = try (0..<3).map { index in
      try [1, 3].map { place in
        try Convolution(
          weights["residual_convs"][index][place], inputs: width, outputs: width, .same(kernel: 3),
          isNormed: true)
      }
    }
    let order = Self.order(channels: channels)
    kernels = try Self.parts(
      weights["kernel_conv"], inputs: width, outputs: channels * outputs * Self.taps, order: order)
    biases = try Self.parts(
      weights["bias_conv"], inputs: width, outputs: outputs,
      order: (0..<outputs).map { Int32($0) })
  }

  /// For each place of a packed kernel which of the values [in, out, tap] stands there.
  private static func order(channels: Int) -> [Int32] {
    Tensor.packedOrder(outputs: 2 * channels, inputs: taps * channels).map { place in
      guard let place else { return -1 }
      let (tap, input) = place.input.quotientAndRemainder(dividingBy: channels)
      return Int32((input * 2 * channels + place.output) * taps + tap)
    }
  }

  /// A convolution for each layer, with its outputs in another order.
  private static func parts(
    _ weights: Weights, inputs: Int, outputs: Int, order: [Int32]
  ) throws -> [Convolution] {
    try Convolution.parts(
      weights, inputs: inputs,
      orders: (0..<layers).map { layer in
        order.map { $0 < 0 ? -1 : Int32(layer * outputs) + $0 }
      }, of: layers * outputs, .same(kernel: taps))
  }

  /// - Parameter condition: `[batch, frames, decoded channels]`.
  /// - Returns: `[batch, frames, width]`
  func features(_ condition: Tensor) -> Tensor {
    residuals.reduce(input(condition).leakyReLU()) { c, layers in
      c + layers.reduce(c) { $1($0).leakyReLU() }
    }
  }

  /// Convolves a signal with the kernels of a layer.
  ///
  /// - Parameters:
  ///   - x: `[batch, frames * hop, channels]`.
  ///   - features: of ``features(_:)``.
  /// - Returns: `[batch, frames * hop, 2 * channels]`
  func convolve(_ x: Tensor, _ features: Tensor, layer: Int) -> Tensor {
    guard x.shape[0] == 1, !x.isRecorded, !features.isRecorded else {
      return x.convolved(
        kernels: kernels[layer](features), biases: biases[layer](features), taps: Self.taps)
    }
    let count = features.shape[1]
    return x.convolved(
      taps: Self.taps, outputs: outputs, frames: count, atATime: Self.frames
    ) { range in
      // One frame more on each side, which the predicting convolutions read.
      let near = max(0, range.lowerBound - 1)..<min(count, range.upperBound + 1)
      let part = features.withSteps(near)
      func made(_ convolution: Convolution) -> Tensor {
        let y = convolution(part)
        let first = range.lowerBound - near.lowerBound
        return y.reshaped([near.count, y.columns]).rows(first..<first + range.count)
          .reshaped([1, range.count, y.columns])
      }
      return (made(kernels[layer]), made(biases[layer]))
    }
  }

  /// Frames whose kernels are there at a time: each takes 0.2 MB, and for each part all weights are read.
  private static let frames = 64
}

/// x and what three pairs of convolutions with an activation between them make of it.
struct ActivationBlock: Sendable {
  private struct Layer: Sendable {
    let dilated: Convolution
    let snake: Snake
    let plain: Convolution
  }
  private let layers: [Layer]

  init(_ weights: Weights, channels: Int) throws {
    layers = try [1, 3, 5].enumerated().map { index, dilation in
      let weights = weights[index]
      return Layer(
        dilated: try Convolution(
          weights[0], inputs: channels, outputs: channels, .same(kernel: 3, dilation: dilation),
          isNormed: true),
        snake: try Snake(weights[1], channels: channels),
        plain: try Convolution(
          weights[2], inputs: channels, outputs: channels, .same(kernel: 3), isNormed: true))
    }
  }

  /// - Parameter x: `[batch, steps, channels]`.
  func callAsFunction(_ x: Tensor) -> Tensor {
    layers.reduce(x) { $1.plain($1.snake($1.dilated($0))) }.adding(x)
  }
}

/// x + sin²(αx) / β at twice the rate; α and β are learned as logarithms and bounded.
struct Snake: Sendable {
  private let alpha: Tensor
  private let scale: Tensor
  private let up: Tensor
  private let down: Tensor

  init(_ weights: Weights, channels: Int) throws {
    let bounds: ClosedRange<Float> = 0.01...50
    alpha = try weights["act"].tensor("log_alpha", [channels]).exp().clamped(to: bounds)
    let beta = try weights["act"].tensor("log_beta", [channels]).exp().clamped(to: bounds)
    // Both are positive: 1 / β = (1 / √β)².
    scale = beta.rsqrt().squared()
    up = try weights["upsample"].tensor("filter", [1, 1, 12])
    down = try weights["downsample"]["lowpass"].tensor("filter", [1, 1, 12])
  }

  /// - Parameter x: `[batch, steps, channels]`.
  func callAsFunction(_ x: Tensor) -> Tensor {
    x.antiAliasedSnake(alpha: alpha, scale: scale, up: up, down: down)
  }
}

extension Tensor {
  /// Steps by index, mirrored at both ends: `[batch, steps + 2 * count, channels]`.
  func reflected(_ count: Int) -> Tensor {
    let steps = shape[1]
    return choosing(
      (-count..<steps + count).map { step in
        step < 0 ? -step : step < steps ? step : 2 * (steps - 1) - step
      })
  }

  /// Steps of a range; what lies behind the end is zeros.
  func withSteps(_ range: Range<Int>) -> Tensor {
    if range == 0..<shape[1] { return self }
    return choosing(range.map { $0 < shape[1] ? $0 : -1 })
  }

  private func choosing(_ chosen: [Int]) -> Tensor {
    let indices = (0..<shape[0]).flatMap { row in
      chosen.map { $0 < 0 ? -1 : Int32(row * shape[1] + $0) }
    }
    return gatherRows(indices).reshaped([shape[0], chosen.count, columns])
  }
}
