import Base
import NeuralNetworks
import Tensors

/// The tensors of a language model by their names without `flow_lm.`.
typealias LanguageModelTensors = [String: Tensor]

/// Start weights of a smaller model from a bigger one, chosen as the official trainer chooses them:
/// the first and the last layers; in each layer the query heads with the largest weights, each key and
/// value head being the mean of those that they read; the channels of the residual stream with the
/// largest norm gains; the feed-forward units with the largest weights; the best text table of a
/// lower rank.
struct Shrinking {
  /// Shapes of the smaller model.
  let shapes: [String: [Int]]
  /// Channels of an attention head, the same in both.
  let headSize: Int

  init(to configuration: Configuration) throws {
    let shapes = Locked<[String: [Int]]>([:])
    _ = try FlowLM(
      Weights(creating: { name, shape in
        shapes.withLock { $0[name] = shape }
        return .zeros(shape)
      }), configuration)
    self.shapes = shapes.withLock { $0 }
    headSize = configuration.backbone.attention.headSize
  }

  /// The tensors that end up with the smaller model's shapes.
  ///
  /// - Parameter cutsDepth: whether the first and the last layers are kept rather than just the first
  ///   ones.
  /// - Throws: `configuration` when its heads cannot be made of the bigger one's.
  func callAsFunction(
    _ tensors: LanguageModelTensors, cutsDepth: Bool = true, subject: String
  ) throws -> LanguageModelTensors {
    var state = cutsDepth ? keepingLayers(of: tensors) : tensors
    for layer in 0..<layers { try narrowAttention(layer, &state, subject: subject) }
    if let width = shapes["out_norm.weight"]?[0], let wide = state["out_norm.weight"]?.count,
      width < wide
    {
      keepChannels(width, &state)
    }
    for layer in 0..<layers { narrowFeedForward(layer, &state) }
    lowerTextRank(&state)
    return state.filter { shapes[$0.key] == $0.value.shape }
  }

  // MARK: Layers

  private static let layerPrefix = "transformer.layers."

  static func layerCount(_ names: some Sequence<String>) -> Int {
    let numbers = names.compactMap { name -> Int? in
      guard name.hasPrefix(layerPrefix) else { return nil }
      return Int(name.dropFirst(layerPrefix.count).prefix { $0 != "." })
    }
    return (numbers.max() ?? -1) + 1
  }

  /// Layers of the smaller model.
  var layers: Int { Self.layerCount(shapes.keys) }

  /// Which layers of a deeper model a shallower one begins with: the first half and the last.
  static func layers(_ count: Int, of all: Int) -> [Int] {
    guard count < all else { return Array(0..<all) }
    let first = (count + 1) / 2
    return Array(0..<first) + Array(all - (count - first)..<all)
  }

  private func keepingLayers(of tensors: LanguageModelTensors) -> LanguageModelTensors {
    let kept = Self.layers(layers, of: Self.layerCount(tensors.keys))
    let numbers = Dictionary(uniqueKeysWithValues: kept.enumerated().map { ($1, $0) })
    var result: LanguageModelTensors = [:]
    for (name, tensor) in tensors {
      guard name.hasPrefix(Self.layerPrefix) else {
        result[name] = tensor
        continue
      }
      let rest = name.dropFirst(Self.layerPrefix.count)
      let digits = rest.prefix { $0 != "." }
      if let number = Int(digits).flatMap({ numbers[$0] }) {
        result["\(Self.layerPrefix)\(number)\(rest.dropFirst(digits.count))"] = tensor
      }
    }
    return result
  }

  // MARK: Attention

  private func narrowAttention(
    _ layer: Int, _ state: inout LanguageModelTensors, subject: String
  ) throws {
    let input = "\(Self.layerPrefix)\(layer).self_attn.in_proj.weight"
    let output = "\(Self.layerPrefix)\(layer).self_attn.out_proj.weight"
    guard let fused = state[input], let projection = state[output], let narrow = shapes[input],
      let narrowOutput = shapes[output], fused.rows != narrow[0]
    else { return }
    let (heads, wanted) = (projection.columns / headSize, narrowOutput[1] / headSize)
    let keyHeads = (fused.rows - heads * headSize) / (2 * headSize)
    let wantedKeys = (narrow[0] - wanted * headSize) / (2 * headSize)
    guard min(keyHeads, wantedKeys) > 0, wanted <= heads, heads.isMultiple(of: keyHeads),
      wanted.isMultiple(of: wantedKeys)
    else {
      throw Failure.configuration(
        subject, "\(wanted) heads on \(wantedKeys) cannot be made of \(heads) on \(keyHeads)",
        "choose other numbers of heads")
    }
    func head(_ index: Int) -> Tensor { fused.rows(index * headSize..<(index + 1) * headSize) }
    func key(_ index: Int) -> Tensor { head(heads + index) }
    func value(_ index: Int) -> Tensor { head(heads + keyHeads + index) }
    let group = heads / keyHeads
    let scores = (0..<heads).map { index in
      head(index).sumOfSquares + key(index / group).sumOfSquares + value(index / group).sumOfSquares
    }
    let kept = strongest(wanted, scores)
    let share = wanted / wantedKeys
    func mean(_ part: (Int) -> Tensor, _ index: Int) -> Tensor {
      kept[index * share..<(index + 1) * share].map { part($0 / group) }
        .reduce(Tensor.zeros([headSize, fused.columns])) { $0 + $1 } * (1 / Float(share))
    }
    state[input] = concatenateRows(
      kept.map(head) + (0..<wantedKeys).map { mean(key, $0) }
        + (0..<wantedKeys).map { mean(value, $0) })
    state[output] = concatenateColumns(
      kept.map { projection.columns($0 * headSize..<($0 + 1) * headSize) })
  }

  // MARK: Channels

  private func keepChannels(_ count: Int, _ state: inout LanguageModelTensors) {
    let norms =
      ["out_norm"]
      + (0..<Self.layerCount(state.keys)).flatMap {
        ["\(Self.layerPrefix)\($0).norm1", "\(Self.layerPrefix)\($0).norm2"]
      }
    var scores = [Float](repeating: 0, count: state["out_norm.weight"]?.count ?? 0)
    for norm in norms {
      for (channel, gain) in (state[norm + ".weight"]?.values ?? []).enumerated() {
        scores[channel] += abs(gain)
      }
    }
    let kept = strongest(count, scores.map(Double.init))
    for (name, tensor) in state {
      switch residualAxis(name, state) {
      case .rows: state[name] = tensor.keepingRows(kept)
      case .columns: state[name] = tensor.keepingColumns(kept)
      case nil: break
      }
    }
  }

  private enum Axis { case rows, columns }

  /// Where a tensor has the channels of the residual stream.
  private func residualAxis(_ name: String, _ state: LanguageModelTensors) -> Axis? {
    switch name {
    case "out_norm.weight", "out_norm.bias", "bos_before_voice": return .columns
    case "speaker_proj_weight", "input_linear.weight", "conditioner.proj.weight": return .rows
    // A table of low rank reaches the stream through its projection.
    case "conditioner.embed.weight":
      return state["conditioner.proj.weight"] == nil ? .columns : nil
    case "z_proj.weight": return .columns
    case "out_eos.weight", "flow_net.cond_embed.weight":
      return state["z_proj.weight"] == nil ? .columns : nil
    default:
      guard name.hasPrefix(Self.layerPrefix) else { return nil }
      if [
        ".norm1.weight", ".norm1.bias", ".norm2.weight", ".norm2.bias", ".in_proj.weight",
        ".linear1.weight",
      ].contains(where: name.hasSuffix) {
        return .columns
      }
      return [".out_proj.weight", ".linear2.weight"].contains(where: name.hasSuffix) ? .rows : nil
    }
  }

  // MARK: Feed-forward and text

  private func narrowFeedForward(_ layer: Int, _ state: inout LanguageModelTensors) {
    let names = ["linear1", "linear2"].map { "\(Self.layerPrefix)\(layer).\($0).weight" }
    guard let first = state[names[0]], let second = state[names[1]],
      let units = shapes[names[0]]?[0], units < first.rows
    else { return }
    let columns = second.squared().transposed().rowSums().values
    let scores = zip(first.squared().rowSums().values, columns).map {
      Double($0).squareRoot() * Double($1).squareRoot()
    }
    let kept = strongest(units, scores)
    state[names[0]] = first.keepingRows(kept)
    state[names[1]] = second.keepingColumns(kept)
  }

  /// E ≈ (E V) Vᵀ with the right singular vectors V of the largest singular values: the table and its
  /// projection.
  private func lowerTextRank(_ state: inout LanguageModelTensors) {
    guard shapes["conditioner.proj.weight"] != nil, var table = state["conditioner.embed.weight"],
      let rank = shapes["conditioner.embed.weight"]?[1]
    else { return }
    if let projection = state["conditioner.proj.weight"] {
      guard table.columns != rank else { return }
      table = table.product(transposed: projection)
    }
    let basis = rightSingularVectors(of: table, count: rank)
    state["conditioner.embed.weight"] = table.product(transposed: basis)
    state["conditioner.proj.weight"] = basis.transposed()
  }
}

/// The indices of the largest scores, in order of indices.
private func strongest(_ count: Int, _ scores: [Double]) -> [Int] {
  Array(scores.indices.sorted { (scores[$0], $1) > (scores[$1], $0) }.prefix(count).sorted())
}

extension Tensor {
  fileprivate func keepingRows(_ kept: [Int]) -> Tensor {
    let matrix = reshaped([shape[0], count / shape[0]])
    return matrix.gatherRows(kept.map { Int32($0) })
      .reshaped([kept.count] + shape.dropFirst())
  }

  fileprivate func keepingColumns(_ kept: [Int]) -> Tensor {
    let matrix = reshaped([rows, columns])
    let turned = matrix.transposed().gatherRows(kept.map { Int32($0) })
    return turned.transposed().reshaped(shape.dropLast() + [kept.count])
  }
}
