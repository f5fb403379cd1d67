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
  let teacherDigest: SHA256Digest?
  private let goal: LearningGoal
  /// Of the low-rank updates among the parameters; nil when there are none.
  var adapters: LowRankOptions?
  /// The digest of the weights that they belong to.
  var adapterBase = SHA256Digest.zero

  init(start: TrainingStart) throws {
    model = start.model
    configuration = model.configuration
    goal = start.goal
    teacherDigest = start.teacherDigest
    guard configuration.voiceWidth == configuration.latentWidth else {
      throw Failure.configuration(
        model.path,
        "its encoder's latents are not what its language model generates, so it cannot learn from them",
        "train a model with inner_dim \(configuration.latentWidth)")
    }
    let weights = Weights(start.tensors, subject: start.subject)
    _ = try FlowLM(weights, configuration)
    try weights.requireAllUsed()
    var parameters: [String: Tensor] = [:]
    var buffers: [String: Tensor] = [:]
    var tables: [String: Tensor] = [:]
    for (name, tensor) in start.tensors {
      switch name {
      case "emb_mean", "emb_std": buffers["flow_lm." + name] = tensor
      case _ where name.hasSuffix(".freqs"): tables["flow_lm." + name] = tensor
      default: parameters["flow_lm." + name] = tensor
      }
    }
    switch configuration.flowLM.flow.type {
    case .lsd:
      for (name, tensor) in PrecisionNet.initial { parameters["flow.w_s_t." + name] = tensor }
    case .drifting: parameters["flow.temp"] = Tensor([start.kernelTemperature])
    case .flowMatching, .pointwise: break
    }
    self.parameters = parameters
    self.buffers = buffers
    self.tables = tables
    tokenizer = try model.tokenizer()
    codecDigest = try model.encoderDigest()
  }

  func check(_ options: LossOptions) throws {
    let type = configuration.flowLM.flow.type
    guard case .speech = goal else {
      if options.path != .linear { throw Failure.pathOfDistillation }
      return
    }
    guard type != .pointwise else {
      throw Failure.configuration(
        model.path, "a pointwise head learns from another head only",
        "use --distill head, or another --objective")
    }
    guard options.path != .linear else { return }
    guard type != .drifting else {
      throw Failure(
        .usage, problem: "drifting has no path from noise to data", remedy: "leave out --path")
    }
    // A head that never learned makes nothing: its last layer is zero.
    let last = parameters["flow_lm.flow_net.final_layer.linear.weight"]
    guard last?.sumOfSquares == 0 else {
      throw Failure.configuration(
        model.path,
        "its flow head has learned on the linear path; other times and weights would undo that",
        "use --path trigonometric with --fresh or a new model only")
    }
  }

  var latentWidth: Int { configuration.latentWidth }
  var voiceWidth: Int { configuration.voiceWidth }
  var frameRate: Double { configuration.mimi.frameRate }

  /// Rows of tokens that never occur would shrink to nothing, and so would a temperature.
  func decays(_ name: String) -> Bool {
    !["flow_lm.conditioner.embed.weight", "flow.temp"].contains(name)
      && !LowRankUpdate.isPart(name)
  }

  func orthogonalBlocks(_ name: String, includingHead: Bool) -> [Int]? {
    guard let matrix = parameters[name], matrix.shape.count == 2, !LowRankUpdate.isPart(name) else {
      return nil
    }
    if name.hasPrefix("flow_lm.transformer.layers.") {
      let attention = configuration.backbone.attention
      return name.hasSuffix(".self_attn.in_proj.weight")
        ? [attention.queryWidth, attention.keyWidth, attention.keyWidth] : [matrix.rows]
    }
    guard includingHead, name.hasPrefix("flow_lm.flow_net.") else { return nil }
    // By shape, as in the official trainer: shift, scale and gate of a modulation, and what else has
    // two or three times as many rows as columns.
    let chunks = matrix.rows / matrix.columns
    return matrix.rows.isMultiple(of: matrix.columns) && [2, 3].contains(chunks)
      ? Array(repeating: matrix.columns, count: chunks) : [matrix.rows]
  }

  var layers: Int { configuration.backbone.layers }

  func trains(_ name: String, in tuning: Tuning) -> Bool {
    func isIn(_ parts: String...) -> Bool { parts.contains { name.hasPrefix($0) } }
    switch goal {
    case .speech: break
    case .backbone:
      // The heads go on reading the same space.
      if isIn("flow_lm.flow_net.", "flow_lm.out_eos.", "flow.") { return false }
    case .head(_, let options):
      guard isIn("flow_lm.flow_net.") || options.isDrifting && name == "flow.temp" else {
        return false
      }
    }
    if LowRankUpdate.isPart(name) { return tuning == .lora }
    let isOfHead = isIn("flow_lm.flow_net.", "flow.")
    switch tuning {
    case .full: return true
    case .body: return !isIn("flow_lm.flow_net.")
    case .head: return isOfHead
    case .text: return isIn("flow_lm.conditioner.")
    case .lora: return false
    case .last(let count):
      guard let layer = Self.layer(of: name) else {
        return isOfHead || isIn("flow_lm.out_norm.", "flow_lm.z_proj.", "flow_lm.out_eos.")
      }
      return layer >= layers - count
    }
  }

  // MARK: The frozen part

  func frozenPart(training names: Set<String>) -> FrozenPart? {
    if case .backbone = goal { return nil }
    let backbone = names.filter {
      $0.hasPrefix("flow_lm.") && !$0.hasPrefix("flow_lm.flow_net.")
        && !$0.hasPrefix("flow_lm.out_eos.")
    }
    if backbone.isEmpty { return .backbone }
    var first = layers
    for name in backbone {
      if let layer = Self.layer(of: name) {
        first = min(first, layer)
      } else if !name.hasPrefix("flow_lm.out_norm."), !name.hasPrefix("flow_lm.z_proj.") {
        return nil
      }
    }
    return first > 0 ? .layers(first) : nil
  }

  /// The layer of the backbone that a parameter belongs to.
  private static func layer(of name: String) -> Int? {
    let prefix = "flow_lm.transformer.layers."
    guard name.hasPrefix(prefix) else { return nil }
    return Int(name.dropFirst(prefix.count).prefix { $0 != "." })
  }

  func features(
    of example: TrainingExample, part: FrozenPart, buffers: [String: Tensor]
  ) throws -> FrozenFeatures {
    let all = parameters.merging(buffers) { $1 }.merging(tables) { $1 }
    return try FlowLM(Weights(all, subject: model.path)["flow_lm"], configuration)
      .features(of: example, part: part)
  }

  func digest(of part: FrozenPart, buffers: [String: Tensor]) -> SHA256Digest {
    let used = parameters.merging(buffers) { $1 }.filter { name, _ in
      guard name.hasPrefix("flow_lm."), !name.hasPrefix("flow_lm.flow_net."),
        !name.hasPrefix("flow_lm.out_eos.")
      else { return false }
      guard case .layers(let count) = part else { return true }
      if name.hasPrefix("flow_lm.out_norm.") || name.hasPrefix("flow_lm.z_proj.") { return false }
      return Self.layer(of: name).map { $0 < count } ?? true
    }
    return Tensors.digest(of: used.map { ($0.key, $0.value) })
  }

  func activationBytes(positions: Int, recomputing layers: Int) throws -> Int {
    let transformer = try Transformer(
      Weights(parameters, subject: model.path)["flow_lm"]["transformer"], configuration.backbone)
    // A recomputed layer keeps its input, and all of one of them is there at a time.
    let (inside, width) = (transformer.floatsPerPosition, configuration.backbone.width)
    let whole = self.layers - layers + (layers > 0 ? 1 : 0)
    return 4 * positions * (whole * inside + layers * width)
  }

  // MARK: The loss

  func loss(
    of batch: [TrainingExample], parameters: [String: Tensor], buffers: [String: Tensor],
    options: LossOptions, isEvaluation: Bool, random: inout RandomNumbers
  ) throws -> LossReport {
    let keepsText = Self.kept(
      batch.count, dropout: isEvaluation ? 0 : options.textDropout, random: &random)
    let keepsVoice = Self.kept(
      batch.count, dropout: isEvaluation ? 0 : options.voiceDropout, random: &random)
    let distills = random.uniform() < options.lsd.distillationProbability
    let frames = batch.reduce(0) { $0 + $1.latents.rows }
    let draws = TrainingDraws(
      keepsVoice: keepsVoice, keepsText: keepsText, distills: distills,
      head: headDraws(frames: frames, options: options, random: &random))
    return try loss(
      of: batch, parameters: parameters, buffers: buffers, options: options,
      isEvaluation: isEvaluation, draws: draws)
  }

  /// For each row whether it keeps its text, or its voice.
  static func kept(_ rows: Int, dropout: Float, random: inout RandomNumbers) -> [Bool] {
    (0..<rows).map { _ in random.uniform() >= dropout }
  }

  private func headDraws(
    frames: Int, options: LossOptions, random: inout RandomNumbers
  ) -> HeadDraws {
    let channels = latentWidth
    switch goal {
    case .speech:
      return HeadDraws(
        configuration.flowLM.flow.type, rows: options.multiplier * frames, channels: channels,
        options: options, random: &random)
    case .backbone: return .none
    case .head(_, let head):
      return .imitation(
        HeadImitationDraws(
          frames: frames, channels: channels, options: head, drifting: options.drifting,
          random: &random))
    }
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
    let head = LearningHead(
      parameters: all.filter { $0.key.hasPrefix("flow_lm.flow_net.") || $0.key.hasPrefix("flow.") },
      frozen: try FlowHead(constants["flow_lm"]["flow_net"], configuration),
      configuration: configuration)
    switch goal {
    case .speech:
      return try FlowLM(weights["flow_lm"], configuration).loss(
        of: batch, options: options, isEvaluation: isEvaluation, draws: draws, head: head)
    case .backbone(let teacher, let guidance):
      return try FlowLM(weights["flow_lm"], configuration).distillationLoss(
        of: batch, teacher: teacher, guidance: guidance, draws: draws,
        options: options)
    case .head(let teacher, let distillation):
      // The backbone does not learn: nothing of it is recorded.
      return try FlowLM(constants["flow_lm"], configuration).headDistillationLoss(
        of: batch, teacher: teacher, distillation: distillation, draws: draws, options: options,
        head: head)
    }
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
