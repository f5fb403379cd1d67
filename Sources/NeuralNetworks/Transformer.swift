public import Tensors

/// The sizes of a transformer.
public struct TransformerConfiguration: Sendable, Hashable {
  /// Width of the residual stream.
  public var width: Int
  /// Heads, head size, context.
  public var attention: AttentionShape
  /// Number of layers.
  public var layers: Int
  /// Width of the feed-forward layers.
  public var feedForward: Int
  /// Base of the rotary frequencies.
  public var maxPeriod: Float
  /// Whether each branch is scaled per channel before it is added (Mimi's layers).
  public var hasLayerScale: Bool

  /// The sizes of a transformer.
  public init(
    width: Int, attention: AttentionShape, layers: Int, feedForward: Int, maxPeriod: Float,
    hasLayerScale: Bool
  ) {
    self.width = width
    self.attention = attention
    self.layers = layers
    self.feedForward = feedForward
    self.maxPeriod = maxPeriod
    self.hasLayerScale = hasLayerScale
  }
}

/// A pre-norm decoder layer: attention with rotary positions, then a feed-forward part with GELU
/// (tanh form). No biases in the linear layers.
struct TransformerLayer: Sendable {
  private var norm1: LayerNorm
  private var inProjection: Linear
  private var outProjection: Linear
  private var norm2: LayerNorm
  private var linear1: Linear
  private var linear2: Linear
  private var scale1: Tensor?
  private var scale2: Tensor?

  init(_ weights: Weights, _ sizes: TransformerConfiguration) throws {
    let (d, attention) = (sizes.width, sizes.attention)
    norm1 = try LayerNorm(weights["norm1"], width: d, epsilon: 1e-5)
    inProjection = try Linear(
      weights["self_attn"]["in_proj"], inputs: d, outputs: attention.fusedWidth, bias: false)
    outProjection = try Linear(
      weights["self_attn"]["out_proj"], inputs: attention.queryWidth, outputs: d, bias: false)
    norm2 = try LayerNorm(weights["norm2"], width: d, epsilon: 1e-5)
    linear1 = try Linear(
      weights["linear1"], inputs: d, outputs: sizes.feedForward, bias: false)
    linear2 = try Linear(
      weights["linear2"], inputs: sizes.feedForward, outputs: d, bias: false)
    scale1 = sizes.hasLayerScale ? try weights["layer_scale_1"].tensor("scale", [d]) : nil
    scale2 = sizes.hasLayerScale ? try weights["layer_scale_2"].tensor("scale", [d]) : nil
  }

  /// All its tensors, in order.
  var tensors: [Tensor] {
    var tensors: [Tensor] = []
    _ = replacing {
      tensors.append($0)
      return $0
    }
    return tensors
  }

  /// The same of other tensors, in the order of ``tensors``.
  func with(_ tensors: ArraySlice<Tensor>) -> TransformerLayer {
    var rest = tensors
    return replacing { rest.popFirst() ?? $0 }
  }

  private func replacing(_ change: (Tensor) -> Tensor) -> TransformerLayer {
    var layer = self
    layer.norm1 = norm1.replacing(change)
    layer.inProjection = inProjection.replacing(change)
    layer.outProjection = outProjection.replacing(change)
    layer.norm2 = norm2.replacing(change)
    layer.linear1 = linear1.replacing(change)
    layer.linear2 = linear2.replacing(change)
    layer.scale1 = scale1.map(change)
    layer.scale2 = scale2.map(change)
    return layer
  }

  /// Keys and values alone of the next positions: all that the last layer of a prefix is needed for.
  func remember(_ x: Tensor, cache: inout KeyValueCache, rotation: RotaryTable) {
    cache.append(inProjection(norm1(x)), rotation: rotation)
  }

  /// - Parameter attend: self-attention on the fused projection.
  func callAsFunction(_ x: Tensor, attend: (Tensor) -> Tensor) -> Tensor {
    var attended = outProjection(attend(inProjection(norm1(x))))
    if let scale1 { attended = attended * scale1 }
    let y = x + attended
    var fed = linear2(geluOf: linear1(norm2(y)))
    if let scale2 { fed = fed * scale2 }
    return y + fed
  }
}

/// A stack of causal transformer layers, as Mimi and the language model use it.
public struct Transformer: Sendable {
  /// The sizes.
  public let sizes: TransformerConfiguration
  private let layers: [TransformerLayer]

  /// Reads `layers.0` … under the given weights.
  public init(_ weights: Weights, _ sizes: TransformerConfiguration) throws {
    self.sizes = sizes
    layers = try (0..<sizes.layers).map { try TransformerLayer(weights["layers"][$0], sizes) }
  }

  /// What streaming remembers: keys and values of each layer.
  public struct State: Sendable {
    /// One cache a layer.
    public var caches: [KeyValueCache]
    /// How many positions were seen.
    public var length: Int { caches.first?.length ?? 0 }

    /// A state of given caches, as an exported voice holds them.
    public init(caches: [KeyValueCache]) { self.caches = caches }
  }

  /// A state that has seen nothing.
  public func initialState() -> State {
    State(caches: layers.map { _ in KeyValueCache(shape: sizes.attention) })
  }

  /// The next positions of one sequence, in streaming.
  ///
  /// - Parameter x: `[positions, width]`.
  /// - Returns: `[positions, width]`.
  public func callAsFunction(_ x: Tensor, state: inout State) -> Tensor {
    let rotation = rotation(first: state.length, count: x.rows)
    var x = x
    for (index, layer) in layers.enumerated() {
      x = layer(x) { state.caches[index].attend($0, rotation: rotation) }
    }
    return x
  }

  /// The next position of each of several sequences, whatever their lengths.
  ///
  /// - Parameter x: `[sequences, width]`.
  /// - Returns: `[sequences, width]`.
  public func callAsFunction(_ x: Tensor, states: inout [State]) -> Tensor {
    let rotations = states.map { rotation(first: $0.length, count: 1) }
    var x = x
    for (index, layer) in layers.enumerated() {
      x = layer(x) { fused in
        let turned = states.indices.map { sequence in
          states[sequence].caches[index].append(
            fused.rows(sequence..<sequence + 1), rotation: rotations[sequence])
        }
        return KeyValueCache.attend(
          concatenateRows(turned), caches: states.map { $0.caches[index] })
      }
    }
    return x
  }

  /// The next positions of one sequence, when only what follows them is of interest: the same state,
  /// without the work whose result nobody reads.
  ///
  /// - Parameter x: `[positions, width]`.
  public func remember(_ x: Tensor, state: inout State) {
    let rotation = rotation(first: state.length, count: x.rows)
    var x = x
    for (index, layer) in layers.enumerated() {
      if index == layers.count - 1 {
        layer.remember(x, cache: &state.caches[index], rotation: rotation)
      } else {
        x = layer(x) { state.caches[index].attend($0, rotation: rotation) }
      }
    }
  }

  private func rotation(first: Int, count: Int) -> RotaryTable {
    RotaryTable(
      first: first, count: count, headSize: sizes.attention.headSize, maxPeriod: sizes.maxPeriod)
  }

  /// Whole sequences of equal length at once, recorded for training.
  ///
  /// - Parameters:
  ///   - x: `[batch * positions, width]`.
  ///   - positions: the length of each sequence.
  ///   - range: the layers that they go through; nil: all.
  ///   - recomputing: how many of these, the first ones, the reverse pass computes again rather than
  ///     keep what is inside of them.
  /// - Returns: `[batch * positions, width]`.
  public func sequences(
    _ x: Tensor, positions: Int, layers range: Range<Int>? = nil, recomputing: Int = 0
  ) -> Tensor {
    let rotation = rotation(first: 0, count: positions)
    let attention = sizes.attention
    let range = range ?? 0..<layers.count
    return range.reduce(x) { x, index in
      let layer = layers[index]
      let attend: @Sendable (Tensor) -> Tensor = {
        $0.causalAttention(attention, positions: positions, rotation: rotation)
      }
      guard index < range.lowerBound + recomputing else { return layer(x, attend: attend) }
      return recomputed([x] + layer.tensors) { values in
        layer.with(values.dropFirst())(values[0], attend: attend)
      }
    }
  }

  /// Floats that a recorded layer keeps of each position: its input, what its norms, attention and
  /// activation read, and the results of the first two.
  public var floatsPerPosition: Int {
    5 * sizes.width + sizes.attention.fusedWidth + sizes.attention.queryWidth
      + sizes.feedForward
  }
}
