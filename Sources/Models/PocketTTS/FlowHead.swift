import NeuralNetworks
import Tensors

/// The embedding of one time: cosines and sines, two linear layers, and a norm that divides by the
/// unbiased deviation around the mean without removing the mean.
struct TimeEmbedding: Sendable {
  private let frequencies: Tensor
  private let linear1: Linear
  private let linear2: Linear
  private let scale: Tensor

  init(_ weights: Weights, width: Int) throws {
    // Stored frequencies count: files in bfloat16 hold rounded ones.
    frequencies = try weights.tensor("freqs", [128]).reshaped([128, 1])
    linear1 = try Linear(weights["mlp"][0], inputs: 256, outputs: width)
    linear2 = try Linear(weights["mlp"][2], inputs: width, outputs: width)
    scale = try weights["mlp"][3].tensor("alpha", [width])
  }

  /// - Parameter time: `[rows, 1]`.
  /// - Returns: `[rows, width]`.
  func callAsFunction(_ time: Tensor) -> Tensor {
    let angles = time.product(transposed: frequencies)
    let m = linear2(linear1(concatenateColumns([angles.cosine(), angles.sine()])).silu())
    let variance = (m - m.rowMeans()).squared().rowSums() * (1 / Float(m.columns - 1))
    return m * (variance + 1e-5).rsqrt() * scale
  }
}

/// A residual block whose norm is shifted, scaled and gated by the conditioning.
private struct ModulatedBlock: Sendable {
  let norm: LayerNorm
  let linear1: Linear
  let linear2: Linear
  let modulation: Linear

  init(_ weights: Weights, width: Int) throws {
    norm = try LayerNorm(weights["in_ln"], width: width, epsilon: 1e-6)
    linear1 = try Linear(weights["mlp"][0], inputs: width, outputs: width)
    linear2 = try Linear(weights["mlp"][2], inputs: width, outputs: width)
    modulation = try Linear(weights["adaLN_modulation"][1], inputs: width, outputs: 3 * width)
  }

  /// - Parameter places: for each row of u its row of the condition; nil where they are the same.
  func callAsFunction(_ u: Tensor, condition: Tensor, places: [Int32]?) -> Tensor {
    let parts = modulation(condition).gatheredRows(places).splitColumns(3)
    let (shift, scale, gate) = (parts[0], parts[1], parts[2])
    let w = norm(u) * (scale + 1) + shift
    return u + gate * linear2(linear1(w).silu())
  }
}

/// The flow head: a small network that makes one latent from the backbone's output and noise.
///
/// v(c; times; x): c is `[rows, Z]`, x `[rows, channels]`, each time `[rows, 1]`. For LSD it is the
/// average velocity of the jump from s to t (Boffi et al., 2025), for flow matching the velocity at
/// t; drifting and pointwise heads have no times.
struct FlowHead: Sendable {
  let type: Configuration.FlowType
  private let inputProjection: Linear
  private let conditionEmbedding: Linear
  private let times: [TimeEmbedding]
  private let blocks: [ModulatedBlock]
  private let finalModulation: Linear
  private let finalLinear: Linear

  init(_ weights: Weights, _ configuration: Configuration) throws {
    let flow = configuration.flowLM.flow
    type = flow.type
    let width = flow.dim
    inputProjection = try Linear(
      weights["input_proj"].inFloat32, inputs: configuration.latentWidth, outputs: width)
    conditionEmbedding = try Linear(
      weights["cond_embed"], inputs: configuration.conditionWidth, outputs: width)
    times = try (0..<flow.type.timeCount).map {
      try TimeEmbedding(weights["time_embed"][$0].inFloat32, width: width)
    }
    blocks = try (0..<flow.depth).map {
      try ModulatedBlock(weights["res_blocks"][$0], width: width)
    }
    let last = weights["final_layer"]
    finalModulation = try Linear(
      last["adaLN_modulation"][1], inputs: width, outputs: 2 * width)
    finalLinear = try Linear(
      last["linear"].inFloat32, inputs: width, outputs: configuration.latentWidth)
  }

  /// The mean of the embedded times, `[rows, width]`; nil for a head without times.
  func timeCondition(_ values: [Tensor]) -> Tensor? {
    precondition(values.count == times.count, "the head takes \(times.count) times")
    guard let first = times.first else { return nil }
    return zip(times, values).dropFirst().reduce(first(values[0])) { $0 + $1.0($1.1) }
      * (1 / Float(times.count))
  }

  /// - Parameters:
  ///   - condition: `[rows, Z]`.
  ///   - time: what ``timeCondition(_:)`` gave, one row or one for each.
  ///   - x: `[rows, channels]`.
  ///   - places: for each row of x its row of the condition, where one serves many; nil where they are
  ///     the same.
  func callAsFunction(_ condition: Tensor, time: Tensor?, _ x: Tensor, places: [Int32]? = nil)
    -> Tensor
  {
    var u = inputProjection(x)
    var y = conditionEmbedding(condition)
    if let time { y = y + (time.rows == 1 ? time.reshaped([time.columns]) : time) }
    let modulating = y.silu()
    for block in blocks { u = block(u, condition: modulating, places: places) }
    let parts = finalModulation(modulating).gatheredRows(places).splitColumns(2)
    let normalized = u.layerNormalized(epsilon: 1e-6)
    return finalLinear(normalized * (parts[1] + 1) + parts[0])
  }

  /// What the steps of the decoder are conditioned on, computed once for many frames.
  func stepTimes(_ steps: Int) -> [Tensor?] {
    func row(_ value: Float) -> Tensor { Tensor([value], shape: [1, 1]) }
    switch type {
    case .lsd:
      return (0..<steps).map {
        timeCondition([row(Float($0) / Float(steps)), row(Float($0 + 1) / Float(steps))])
      }
    case .flowMatching:
      return (0..<steps).map { timeCondition([row(Float($0) / Float(steps))]) }
    case .drifting, .pointwise: return [nil]
    }
  }

  /// A latent from noise.
  ///
  /// - Parameters:
  ///   - condition: `[rows, Z]`.
  ///   - noise: `[rows, channels]`.
  ///   - times: of ``stepTimes(_:)``.
  func sample(_ condition: Tensor, noise: Tensor, times: [Tensor?]) -> Tensor {
    switch type {
    case .lsd, .flowMatching:
      times.reduce(noise) { x, time in
        x + self(condition, time: time, x) * (1 / Float(times.count))
      }
    case .drifting: self(condition, time: nil, noise)
    case .pointwise: noise + self(condition, time: nil, noise)
    }
  }
}

extension Tensor {
  /// The named rows; all as they are where none are named.
  fileprivate func gatheredRows(_ places: [Int32]?) -> Tensor { places.map(gatherRows) ?? self }
}
