import Base
import Foundation
import Hub
import Mimi
import ModelInterface
import NeuralNetworks
import Tensors
import Text

/// Start values of a new model, by name and shape. The language model begins as the official trainer
/// begins it. The codec is at unit gain, and its strided convolutions average, so that its latents
/// follow the sound although it never learned anything.
struct InitialWeights: Sendable {
  private let seed: UInt64
  private let configuration: Configuration

  init(seed: UInt64, configuration: Configuration) {
    self.seed = seed
    self.configuration = configuration
  }

  /// All tensors of the model, under their official names.
  func all() throws -> [String: Tensor] {
    try made { weights in
      _ = try FlowLM(weights["flow_lm"], configuration)
      _ = try Mimi(weights["mimi"], configuration.codec)
    }
  }

  /// Tensors of the language model, without `flow_lm.`.
  ///
  /// - Parameter prefix: of those that are made.
  func languageModel(_ prefix: String = "") throws -> LanguageModelTensors {
    let tensors = try made("flow_lm." + prefix) { _ = try FlowLM($0["flow_lm"], configuration) }
    return Dictionary(uniqueKeysWithValues: tensors.map { (String($0.key.dropFirst(8)), $0.value) })
  }

  /// What is asked for when a model is built, under a prefix.
  private func made(
    _ prefix: String = "", _ build: (Weights) throws -> Void
  ) throws -> [String: Tensor] {
    let made = Locked<[String: Tensor]>([:])
    try build(
      Weights(creating: { name, shape in
        guard name.hasPrefix(prefix) else { return .zeros(shape) }
        let tensor = make(name, shape)
        made.withLock { $0[name] = tensor }
        return tensor
      }))
    return made.withLock { $0 }
  }

  private func make(_ name: String, _ shape: [Int]) -> Tensor {
    var random = RandomNumbers(seed: seed, name: name)
    let fanIn = shape.dropFirst().reduce(1, *)
    func normal(_ deviation: Float) -> Tensor {
      let numbers = random.normal(shape.reduce(1, *))
      return Tensor(numbers.map { $0 * deviation }, shape: shape)
    }
    func uniform(_ bound: Float) -> Tensor {
      Tensor(
        (0..<shape.reduce(1, *)).map { _ in (2 * random.uniform() - 1) * bound }, shape: shape)
    }
    func constant(_ value: Float) -> Tensor { Tensor(repeating: value, shape: shape) }
    if name.hasSuffix(".freqs") {
      return Tensor(
        (0..<shape[0]).map { Float(exp(-log(10000) * Double($0) / Double(shape[0]))) })
    }
    if name.contains("norm") || name.hasSuffix(".alpha") || name.contains(".in_ln.") {
      return constant(name.hasSuffix(".bias") ? 0 : 1)
    }
    if name.hasPrefix("mimi.") { return codec(name, shape, constant, normal) }
    switch name {
    case "flow_lm.emb_mean": return constant(0)
    case "flow_lm.emb_std": return constant(1)
    case "flow_lm.bos_emb", "flow_lm.bos_before_voice": return normal(1)
    case "flow_lm.speaker_proj_weight": return normal(1 / Float(shape[1]).squareRoot())
    case "flow_lm.out_eos.weight", "flow_lm.out_eos.bias":
      return uniform(1 / Float(configuration.conditionWidth).squareRoot())
    case _ where name.contains("adaLN_modulation") || name.contains("final_layer.linear"):
      return constant(0)
    case _ where name.hasSuffix(".bias"): return constant(0)
    case _ where name.contains("time_embed"): return normal(0.02)
    case _ where name.hasPrefix("flow_lm.flow_net."):
      // Xavier's uniform law.
      return uniform((6 / Float(shape[0] + shape[1])).squareRoot())
    default:
      // Normal, cut at three deviations.
      let deviation = 1 / Float(fanIn).squareRoot()
      return Tensor(
        (0..<shape.reduce(1, *)).map { _ in
          var value = random.normal()
          while abs(value) > 3 { value = random.normal() }
          return value * deviation
        }, shape: shape)
    }
  }

  private func codec(
    _ name: String, _ shape: [Int], _ constant: (Float) -> Tensor, _ normal: (Float) -> Tensor
  ) -> Tensor {
    if name.hasSuffix(".scale") { return constant(0.5) }
    if name.hasSuffix(".bias") { return constant(0) }
    if name.contains("upsample") { return normal(0.7) }
    if name.contains("downsample") || isStridedEncoder(name, shape) {
      return average(mixing: normal(1.414 / Float(shape[1]).squareRoot()))
    }
    let fanIn: Int =
      name.contains("convtr") ? 2 * shape[0] : shape.dropFirst().reduce(1, *)
    // ELU halves the power of what passes: √2 keeps it. Speech is quiet, so the first layer
    // raises it; the last one brings it back.
    let gain: Float =
      name.hasPrefix("mimi.encoder.model.0.")
      ? 8 : name.contains("block.3") ? 0.7 : name.contains("transformer") ? 1 : 1.414
    let last = configuration.codec.decoder
    let isOutput =
      name.hasPrefix("mimi.decoder.model.") && shape.first == last.channels && shape.count == 3
    return normal((isOutput ? 0.1 : gain) / Float(fanIn).squareRoot())
  }
}

/// Whether a weight of the codec is that of a convolution by which its encoder goes to a lower rate:
/// only those have kernels of even length, twice the stride.
private func isStridedEncoder(_ name: String, _ shape: [Int]) -> Bool {
  name.hasPrefix("mimi.encoder.model.") && !name.contains("block") && shape.count == 3
    && shape[2].isMultiple(of: 2)
}

/// A strided convolution `[outputs, inputs, kernel]` that mixes channels as the first tap says and takes
/// the mean over its newest stride. What leaves it says how loud its inputs were, which the text can
/// tell, and not where in their waves they were, which it cannot.
private func average(mixing taps: Tensor) -> Tensor {
  let (values, kernel) = (taps.values, taps.shape[2])
  let stride = kernel / 2
  return Tensor(
    values.indices.map {
      $0 % kernel < kernel - stride ? 0 : values[$0 - $0 % kernel] / Float(stride)
    }, shape: taps.shape)
}

/// Writes a model directory with random weights.
func initializeModel(_ request: ModelInitialization) throws {
  let source: PocketTTSModel
  do { source = try PocketTTSModel(path: request.configuration) } catch let failure as Failure
    where failure.kind == .noInput && !HubPath.isMeant(by: request.configuration)
  {
    throw Failure(
      .noInput, subject: request.configuration,
      problem: "neither a file nor the name of a configuration",
      remedy: "use one of " + KnownConfigurations.names.joined(separator: ", "))
  }
  var configuration = source.configuration
  let path = try request.tokenizer ?? source.tokenizerPath()
  // The kind follows the file that is given.
  if request.tokenizer != nil {
    configuration.flowLM.lookupTable.tokenizer =
      path.hasSuffix(".json") ? "tokenizers" : "sentencepiece"
  }
  let tokenizer = try loadTokenizer(path: path)
  guard tokenizer.size == configuration.flowLM.lookupTable.nBins else {
    throw Failure.tokenizerSize(
      tokenizer.size, expected: configuration.flowLM.lookupTable.nBins, file: path)
  }
  let tensors = try InitialWeights(seed: request.seed, configuration: configuration).all()
  let weights = Weights(tensors, subject: request.directory)
  try writeModelDirectory(
    request.directory, configuration: configuration, tokenizer: path, flowLM: weights["flow_lm"],
    mimi: weights["mimi"])
}
