public import Base
import NeuralNetworks
import Safetensors
public import Tensors

/// How adapters are made.
public struct LowRankOptions: Sendable, Hashable {
  /// Rank of each update.
  public var rank = 16
  /// Updates are multiplied by alpha / rank.
  public var alpha: Float = 32
  /// Patterns over the names of the matrices that get one; empty for those of the backbone.
  public var targets: [String] = []

  /// Rank 16, alpha 32, the backbone's matrices.
  public init() {}
}

/// Low-rank updates of a model's matrices, in a safetensors file that names the model by its digest.
public struct LowRankAdapter: Sendable {
  /// Rank of the updates.
  public let rank: Int
  /// Updates are multiplied by alpha / rank.
  public let alpha: Float
  /// The digest of the weights that they belong to.
  public let base: SHA256Digest
  /// A and B of each update, by the names of ``LowRankUpdate``.
  public let tensors: [String: Tensor]

  /// What the updates are multiplied by.
  public var scale: Float { alpha / Float(rank) }

  private static let format = "ttstools adapter 1"

  /// An adapter.
  public init(rank: Int, alpha: Float, base: SHA256Digest, tensors: [String: Tensor]) {
    self.rank = rank
    self.alpha = alpha
    self.base = base
    self.tensors = tensors
  }

  /// Reads an adapter's file.
  ///
  /// - Throws: `noInput`, `badInput` when it is none.
  public init(path: String) throws {
    let file = try SafetensorsFile(path: path)
    guard file.metadata["format"] == Self.format,
      let rank = file.metadata["rank"].flatMap({ Int($0) }), rank > 0,
      let alpha = file.metadata["alpha"].flatMap({ Float($0) }), alpha.isFinite,
      let base = file.metadata["base"].flatMap({ SHA256Digest(hexadecimal: $0) }),
      file.names.allSatisfy(LowRankUpdate.isPart)
    else {
      throw Failure(
        .badInput, subject: path, problem: "not an adapter",
        remedy: "give a file that tts-train --tune lora wrote")
    }
    self.init(
      rank: rank, alpha: alpha, base: base,
      tensors: Dictionary(
        uniqueKeysWithValues: try file.names.map { ($0, try Tensor(file: file, name: $0)) }))
  }

  /// Writes it, whole or not at all.
  public func write(to path: String) throws {
    try writeSafetensors(
      tensors.mapValues { ArrayData($0.values, shape: $0.shape) },
      metadata: [
        "format": Self.format, "rank": "\(rank)", "alpha": "\(alpha)", "base": base.description,
      ], to: path)
  }
}
