import Base
import ModelInterface
import NeuralNetworks
import Safetensors
import Tensors

/// A voice: the backbone's keys and values over the voice prompt.
struct VoiceState: Voice {
  var state: Transformer.State

  var positions: Int { state.length }

  /// Writes the official format of an exported voice: for each layer a cache
  /// `[2, 1, positions, key heads, head size]`, keys first, with its offset.
  func write(to path: String) throws {
    var arrays: [String: ArrayData] = [:]
    for (index, cache) in state.caches.enumerated() {
      let name = "transformer.layers.\(index).self_attn"
      let (keys, values) = cache.contents
      arrays["\(name)/cache"] = ArrayData(
        keys.values + values.values,
        shape: [2, 1, cache.length, cache.shape.keyValueHeads, cache.shape.headSize])
      arrays["\(name)/offset"] = ArrayData([Int64(cache.length)], shape: [1])
      arrays["\(name)/pad"] = ArrayData([Int64(0)], shape: [1])
    }
    try writeSafetensors(arrays, metadata: [:], to: path)
  }

  init(state: Transformer.State) { self.state = state }

  /// Reads an exported voice and checks it against the model.
  ///
  /// - Throws: `configuration` when it belongs to a model of other sizes.
  init(path: String, backbone: TransformerConfiguration) throws {
    let file = try SafetensorsFile(path: path)
    let shape = backbone.attention
    func mismatch(_ problem: String) -> Failure {
      Failure(
        .configuration, subject: path, problem: problem,
        remedy: "export the voice again with this model")
    }
    var known: Set<String> = []
    let caches = try (0..<backbone.layers).map { layer -> KeyValueCache in
      let name = "transformer.layers.\(layer).self_attn"
      guard let sizes = file.shape(of: "\(name)/cache") else {
        throw mismatch("not a voice of this model: '\(name)/cache' is missing")
      }
      guard sizes.count == 5, sizes[0] == 2, sizes[1] == 1, sizes[3] == shape.keyValueHeads,
        sizes[4] == shape.headSize
      else { throw mismatch("'\(name)/cache' has shape \(sizes), which is another model's") }
      // Older files tell the length by the size of `current_end`.
      let length: Int
      if let offset = try? file.array("\(name)/offset").int64s().first {
        length = Int(clamping: offset)
      } else if let end = file.shape(of: "\(name)/current_end") {
        length = end.reduce(1, *)
      } else {
        throw mismatch("'\(name)/offset' is missing")
      }
      guard length >= 0, length <= sizes[2] else {
        throw mismatch("'\(name)/offset' is \(length) for \(sizes[2]) positions")
      }
      if let pad = try? file.array("\(name)/pad").int64s().first, pad != 0 {
        throw mismatch("'\(name)/pad' is not 0")
      }
      known.formUnion(["cache", "offset", "pad", "current_end"].map { "\(name)/\($0)" })
      let all = Tensor(try file.floats("\(name)/cache"), shape: [2 * sizes[2], shape.keyWidth])
      let (keys, values) = (all.rows(0..<length), all.rows(sizes[2]..<sizes[2] + length))
      guard keys.sumOfSquares.isFinite, values.sumOfSquares.isFinite else {
        throw mismatch("'\(name)/cache' holds values that are not numbers")
      }
      return KeyValueCache(shape: shape, keys: keys, values: values)
    }
    if let stranger = file.names.first(where: { !known.contains($0) }) {
      throw mismatch("it holds '\(stranger)', which this model does not have")
    }
    guard Set(caches.map(\.length)).count <= 1 else {
      throw mismatch("its layers have different lengths")
    }
    state = Transformer.State(caches: caches)
  }
}
