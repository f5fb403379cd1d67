import Base
import Glibc
import NeuralNetworks
import Tensors

/// The velocity of the flow between noise and latents: a WaveNet without causality (van den Oord et al.,
/// 2016), conditioned on a log-mel and on time.
struct FlowNetwork: Sendable {
  private struct Layer: Sendable {
    let time: Linear
    let condition: Convolution
    let dilated: Convolution
    let out: Convolution
  }
  private let start: Convolution
  private let layers: [Layer]
  private let end: Convolution

  /// Dilations go through so many powers of two, again and again.
  private static let cycle = 5

  init(_ weights: Weights, _ sizes: EnhancerSizes) throws {
    let width = sizes.flowWidth
    start = try Convolution(
      weights["start"], inputs: sizes.latents, outputs: width, .same(kernel: 1))
    layers = try (0..<sizes.flowLayers).map { index in
      let weights = weights["layers"][index]
      return Layer(
        time: try Linear(
          weights["gconv"], kernelOfOne: sizes.timeWidth, outputs: width),
        condition: try Convolution(
          weights["lconv"], inputs: sizes.mels, outputs: 2 * width, .same(kernel: 1)),
        dilated: try Convolution(
          weights["dconv"], inputs: width, outputs: 2 * width,
          .same(kernel: 3, dilation: 1 << (index % Self.cycle))),
        out: try Convolution(weights["out"], inputs: width, outputs: 2 * width, .same(kernel: 1)))
    }
    end = try Convolution(weights["end"], inputs: width, outputs: sizes.latents, .same(kernel: 1))
  }

  /// What each layer makes of the condition: the same at all times.
  ///
  /// - Parameter condition: a normalised log-mel, `[batch, frames, bands]`.
  func conditions(_ condition: Tensor) -> [Tensor] {
    let normed = condition.instanceNormalized(epsilon: 1e-5)
    return layers.map { $0.condition(normed) }
  }

  /// - Parameters:
  ///   - z: `[batch, frames, latents]`.
  ///   - time: of each row of the batch, embedded: `[batch, width of the embedding]`.
  ///   - conditions: of ``conditions(_:)``.
  /// - Returns: the velocity, in z's shape.
  func callAsFunction(_ z: Tensor, time: Tensor, conditions: [Tensor]) -> Tensor {
    var z = start(z)
    var skips: Tensor?
    for (layer, condition) in zip(layers, conditions) {
      let moved = z.addingToSteps(layer.time(time))
      let gated = layer.dilated(moved).adding(condition).gated(tanhIsFirst: true)
      let (residual, skip) = layer.out(gated).halves
      z = residual.adding(z) * Float(0.5).squareRoot()
      skips = skips.map { skip.adding($0) } ?? skip
    }
    guard let skips else { return end(z) }
    return end(skips * (1 / Float(layers.count).squareRoot()))
  }
}

/// Embeddings of times between 0 and 1: sines and cosines of frequencies from 1 to 10,000.
///
/// All is float32 in a certain order: at the high frequencies a rounding is a change that shows.
struct TimeEmbedding: Sendable {
  let frequencies: [Float]

  init(width: Int) {
    let count = width / 2
    let step = 4 / Float(count - 1)
    frequencies = (0..<count).map { index in
      // The exponents, counted from the nearer end.
      let exponent =
        index < count / 2
        ? step * Float(index) : Float(4).addingProduct(-step, Float(count - 1 - index))
      return Float(pow(10, Double(exponent)))
    }
  }

  /// - Returns: `[times, width]`, sines before cosines.
  func callAsFunction(_ times: [Float]) -> Tensor {
    let values = times.flatMap { time in
      let angles = frequencies.map { time * $0 }
      return angles.map { sinf($0) } + angles.map { cosf($0) }
    }
    return Tensor(values, shape: [times.count, 2 * frequencies.count])
  }
}

extension Linear {
  /// A map that is stored as a convolution with one tap: `weight` `[outputs, inputs, 1]` and `bias`.
  fileprivate init(_ weights: Weights, kernelOfOne inputs: Int, outputs: Int) throws {
    self.init(
      weight: try weights.matrix(
        "weight", outputs: outputs, inputs: inputs, stored: [outputs, inputs, 1]),
      bias: try weights.tensor("bias", [outputs]))
  }
}

extension Tensor {
  /// A row for each element of a batch `[batch, steps, channels]`, added to all its steps.
  fileprivate func addingToSteps(_ row: Tensor) -> Tensor {
    if shape[0] == 1 { return self + row.reshaped([columns]) }
    let indices = (0..<shape[0]).flatMap { [Int32](repeating: Int32($0), count: shape[1]) }
    return self + row.gatherRows(indices).reshaped(shape)
  }

  /// The first and the second half of the channels.
  fileprivate var halves: (Tensor, Tensor) {
    let parts = splitColumns(2)
    return (parts[0], parts[1])
  }
}
