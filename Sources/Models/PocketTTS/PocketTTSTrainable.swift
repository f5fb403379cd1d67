import Base
import ModelInterface
import NeuralNetworks
import Tensors
import Text

/// Pocket TTS as something that learns: the language model; the codec stays as it is.
struct PocketTTSTrainable: Trainable {
  let configuration: Configuration
  let model: PocketTTSModel
  var parameters: [String: Tensor]
  let buffers: [String: Tensor]
  /// Stored tables that neither train nor change: the frequencies of the time embeddings.
  private let tables: [String: Tensor]
  let tokenizer: any Tokenizer
  let codecDigest: SHA256Digest
  /// Of the low-rank updates among the parameters; nil when there are none.
  var adapters: LowRankOptions?
  /// The digest of the weights that they belong to.
  var adapterBase = SHA256Digest.zero
  /// Whether each row learns its end; the official trainer leaves out the longest of a batch.
  var teachesEveryEnd = true

  init(model: PocketTTSModel) throws {
    self.model = model
    configuration = model.configuration
    guard [.lsd, .flowMatching].contains(configuration.flowLM.flow.type) else {
      throw Failure.configuration(
        model.path,
        "a head of type '\(configuration.flowLM.flow.type.rawValue)' cannot be trained here yet",
        "train a model with flow.type lsd or flow_matching")
    }
    guard configuration.voiceWidth == configuration.latentWidth else {
      throw Failure.configuration(
        model.path,
        "its encoder's latents are not what its language model generates, so it cannot learn from them",
        "train a model with inner_dim \(configuration.latentWidth)")
    }
    let weights = try model.files.flowLM()
    _ = try FlowLM(weights, configuration)
    try weights.requireAllUsed()
    var parameters: [String: Tensor] = [:]
    var buffers: [String: Tensor] = [:]
    var tables: [String: Tensor] = [:]
    for (name, tensor) in try weights.all() {
      switch name {
      case "emb_mean", "emb_std": buffers["flow_lm." + name] = tensor
      case _ where name.hasSuffix(".freqs"): tables["flow_lm." + name] = tensor
      default: parameters["flow_lm." + name] = tensor
      }
    }
    if configuration.flowLM.flow.type == .lsd {
      for (name, tensor) in PrecisionNet.initial { parameters["flow.w_s_t." + name] = tensor }
    }
    self.parameters = parameters
    self.buffers = buffers
    self.tables = tables
    tokenizer = try model.tokenizer()
    codecDigest = try model.encoderDigest()
  }

  var latentWidth: Int { configuration.latentWidth }
  var voiceWidth: Int { configuration.voiceWidth }
  var frameRate: Double { configuration.mimi.frameRate }

  /// Rows of tokens that never occur would shrink to nothing.
  func decays(_ name: String) -> Bool {
    name != "flow_lm.conditioner.embed.weight" && !LowRankUpdate.isPart(name)
  }

  var layers: Int { configuration.backbone.layers }

  func trains(_ name: String, in tuning: Tuning) -> Bool {
    func isIn(_ parts: String...) -> Bool { parts.contains { name.hasPrefix($0) } }
    if LowRankUpdate.isPart(name) { return tuning == .lora }
    let isOfHead = isIn("flow_lm.flow_net.", "flow.w_s_t.")
    switch tuning {
    case .full: return true
    case .body: return !isIn("flow_lm.flow_net.")
    case .head: return isOfHead
    case .text: return isIn("flow_lm.conditioner.")
    case .lora: return false
    case .last(let count):
      let layer = "flow_lm.transformer.layers."
      guard name.hasPrefix(layer) else {
        return isOfHead || isIn("flow_lm.out_norm.", "flow_lm.z_proj.", "flow_lm.out_eos.")
      }
      let number = Int(name.dropFirst(layer.count).prefix { $0 != "." }) ?? 0
      return number >= layers - count
    }
  }

  func loss(
    of batch: [TrainingExample], parameters: [String: Tensor], buffers: [String: Tensor],
    options: LossOptions, isEvaluation: Bool, random: inout RandomNumbers
  ) throws -> LossReport {
    func keeps(_ dropout: Float) -> [Bool] {
      batch.map { _ in
        let draw = random.uniform()
        return isEvaluation || draw >= dropout
      }
    }
    let keepsText = keeps(options.textDropout)
    let keepsVoice = keeps(options.voiceDropout)
    let distills = random.uniform() < options.distillationProbability
    let rows = options.multiplier * batch.reduce(0) { $0 + $1.latents.rows }
    let flow = FlowDraws(rows: rows, channels: latentWidth, random: &random)
    let draws = TrainingDraws(
      keepsVoice: keepsVoice, keepsText: keepsText, distills: distills, flow: flow,
      time: Tensor((0..<rows).map { _ in random.uniform() }, shape: [rows, 1]))
    return try loss(
      of: batch, parameters: parameters, buffers: buffers, options: options,
      isEvaluation: isEvaluation, draws: draws)
  }

  /// The loss for given draws.
  func loss(
    of batch: [TrainingExample], parameters: [String: Tensor], buffers: [String: Tensor],
    options: LossOptions, isEvaluation: Bool, draws: TrainingDraws
  ) throws -> LossReport {
    var all = parameters.merging(buffers) { $1 }.merging(tables) { $1 }
    if let adapters {
      for (name, tensor) in parameters where name.hasSuffix(".lora_A") {
        all[name] = tensor * (adapters.alpha / Float(adapters.rank))
      }
    }
    let weights = Weights(all, subject: model.path)
    let constants = Weights(all.mapValues { $0.detached() }, subject: model.path)
    let flowLM = try FlowLM(weights["flow_lm"], configuration)
    let frozen = try FlowHead(constants["flow_lm"]["flow_net"], configuration)
    return try flowLM.loss(
      of: batch, options: options, isEvaluation: isEvaluation, draws: draws,
      flow: all.filter { $0.key.hasPrefix("flow_lm.flow_net.") || $0.key.hasPrefix("flow.") },
      frozen: frozen, teachesEveryEnd: teachesEveryEnd)
  }

  func buffers(
    _ buffers: [String: Tensor], movedTowards batch: [TrainingExample], decay: Float
  ) -> [String: Tensor] {
    let frames = batch.map(\.latents)
    let count = frames.reduce(0) { $0 + $1.rows }
    guard count > 1 else { return buffers }
    var sums = [Double](repeating: 0, count: latentWidth)
    var squares = sums
    func visit(_ body: (Int, Double) -> Void) {
      for part in frames {
        part.withValues { values in
          for (index, value) in values.enumerated() { body(index % latentWidth, Double(value)) }
        }
      }
    }
    visit { sums[$0] += $1 }
    let means = sums.map { $0 / Double(count) }
    visit { squares[$0] += ($1 - means[$0]) * ($1 - means[$0]) }
    let batch = self.buffers(
      mean: means.map { Float($0) },
      deviation: squares.map { Float(($0 / Double(count - 1)).squareRoot()) })
    return buffers.merging(batch) { old, new in old * decay + new * (1 - decay) }
  }

  func buffers(mean: [Float], deviation: [Float]) -> [String: Tensor] {
    ["flow_lm.emb_mean": Tensor(mean), "flow_lm.emb_std": Tensor(deviation)]
  }

  func synthesizer(parameters: [String: Tensor], buffers: [String: Tensor]) throws
    -> any Synthesizer
  {
    let weights = flowLM(parameters, buffers, packing: .float32)
    return try model.synthesizer(try FlowLM(weights, configuration), .float32)
  }

  func write(parameters: [String: Tensor], buffers: [String: Tensor], to directory: String) throws {
    if let adapters {
      try createDirectory(directory)
      try adapter(parameters, adapters).write(to: directory + "/adapter.safetensors")
    }
    try writeModelDirectory(
      directory, configuration: configuration, tokenizer: try model.tokenizerPath(),
      flowLM: flowLM(parameters, buffers), mimi: try model.files.mimi())
  }

  /// The language model's tensors, with the updates of low rank in them, without the `flow_lm.` prefix.
  private func flowLM(
    _ parameters: [String: Tensor], _ buffers: [String: Tensor], packing: WeightFormat? = nil
  ) -> Weights {
    let all = parameters.merging(buffers) { $1 }.merging(tables) { $1 }
      .filter { $0.key.hasPrefix("flow_lm.") && !LowRankUpdate.isPart($0.key) }
    let weights = Weights(all, subject: model.path, packing: packing)["flow_lm"]
    guard let adapters else { return weights }
    let adapter = adapter(parameters, adapters)
    return weights.changing { merge($1, String($0.dropFirst(8)), with: [(adapter, 1)]) }
  }
}
