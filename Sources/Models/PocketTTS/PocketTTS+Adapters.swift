import Base
import Glibc
import ModelInterface
import NeuralNetworks
import Tensors

extension PocketTTSModel {
  /// The digest of the language model's weights, which adapters name.
  func adaptedDigest() throws -> SHA256Digest {
    Tensors.digest(of: try files.flowLM().all())
  }

  func adapted(_ adapters: [(adapter: LowRankAdapter, path: String, scale: Float)]) throws
    -> any SpeechModel
  {
    guard !adapters.isEmpty else { return self }
    let digest = try adaptedDigest()
    let weights = try files.flowLM()
    for (adapter, path, _) in adapters {
      guard adapter.base == digest else { throw Failure.otherBase(path, model: self.path) }
      for name in adapter.tensors.keys where Self.target(of: name).map(weights.contains) != true {
        throw Failure.configuration(
          path, "'\(name)' belongs to no matrix of the model", "make the adapter again")
      }
    }
    var model = self
    model.files.changes.append { [adapters = adapters.map { ($0.adapter, $0.scale) }] in
      merge($1, $0, with: adapters)
    }
    return model
  }

  /// The matrix that a tensor of an adapter belongs to, without the `flow_lm.` prefix.
  private static func target(of name: String) -> String? {
    guard LowRankUpdate.isPart(name), name.hasPrefix("flow_lm.") else { return nil }
    var stem = name.dropFirst(8).dropLast(7)
    if let part = LowRankUpdate.parts.first(where: { stem.hasSuffix(".\($0)") }) {
      stem = stem.dropLast(part.count + 1)
    }
    return String(stem)
  }
}

/// A matrix of the language model with adapters in it.
///
/// - Parameter key: without the `flow_lm.` prefix.
func merge(
  _ tensor: Tensor, _ key: String, with adapters: [(adapter: LowRankAdapter, scale: Float)]
) -> Tensor {
  adapters.reduce(tensor) { tensor, entry in
    let updates = LowRankUpdate.updates(of: "flow_lm." + key) { entry.adapter.tensors[$0] }
    guard tensor.shape.count == 2, !updates.isEmpty,
      updates.fit(outputs: tensor.rows, inputs: tensor.columns)
    else { return tensor }
    return updates.merged(into: tensor, scale: entry.scale * entry.adapter.scale)
  }
}

extension PocketTTSTrainable {
  func adapted(_ options: LowRankOptions, seed: UInt64) throws -> any Trainable {
    let patterns =
      options.targets.isEmpty ? ["flow_lm.transformer.layers.*.weight"] : options.targets
    let targets = parameters.filter { name, tensor in
      tensor.shape.count == 2 && name.hasPrefix("flow_lm.")
        && !name.hasPrefix("flow_lm.conditioner.embed.")
        && patterns.contains { fnmatch($0, name, 0) == 0 }
    }
    guard !targets.isEmpty else {
      throw Failure(
        .usage, problem: "--lora-target names no matrix", remedy: "tts-train --list shows them")
    }
    var copy = self
    copy.adapters = options
    copy.adapterBase = try model.adaptedDigest()
    for (name, tensor) in targets {
      for (prefix, outputs) in parts(of: name, tensor) {
        var random = RandomNumbers(seed: seed, name: prefix)
        let bound = 1 / Float(tensor.columns).squareRoot()
        copy.parameters[prefix + ".lora_A"] = Tensor(
          (0..<options.rank * tensor.columns).map { _ in (2 * random.uniform() - 1) * bound },
          shape: [options.rank, tensor.columns])
        copy.parameters[prefix + ".lora_B"] = .zeros([outputs, options.rank])
      }
    }
    return copy
  }

  /// The updates that a matrix gets: queries, keys and values of a fused one have their own.
  private func parts(of name: String, _ tensor: Tensor) -> [(prefix: String, outputs: Int)] {
    let attention = configuration.backbone.attention
    guard name.hasSuffix(".self_attn.in_proj.weight") else { return [(name, tensor.rows)] }
    return [
      ("\(name).q", attention.queryWidth), ("\(name).k", attention.keyWidth),
      ("\(name).v", attention.keyWidth),
    ]
  }

  /// The updates as an adapter.
  func adapter(_ parameters: [String: Tensor], _ options: LowRankOptions) -> LowRankAdapter {
    LowRankAdapter(
      rank: options.rank, alpha: options.alpha, base: adapterBase,
      tensors: parameters.filter { LowRankUpdate.isPart($0.key) })
  }
}
