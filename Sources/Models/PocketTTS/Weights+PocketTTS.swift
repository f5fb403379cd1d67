import Base
import ModelInterface
import NeuralNetworks
import Safetensors
import Tensors

/// The tensors of a model under the official names, whatever files they came in.
struct WeightFiles: Sendable {
  let configuration: Configuration
  let locations: ModelFiles
  /// What is done to each tensor of the language model, in turn; keys are without the `flow_lm.` prefix.
  var changes: [@Sendable (_ key: String, _ tensor: Tensor) throws -> Tensor] = []
  /// Whose tensors stand for those of the files.
  var checkpoint: TrainingCheckpoint?

  init(configuration: Configuration, locations: ModelFiles) {
    self.configuration = configuration
    self.locations = locations
  }

  /// The language model's tensors without the `flow_lm.` prefix.
  ///
  /// - Parameter packing: how matrices are packed for inference; nil for training.
  func flowLM(packing: WeightFormat? = nil) throws -> Weights {
    try changes.reduce(storedFlowLM(packing)) { $0.changing($1) }
  }

  /// The same without the changes.
  var unchanged: WeightFiles {
    var copy = self
    copy.changes = []
    return copy
  }

  private func storedFlowLM(_ packing: WeightFormat?) throws -> Weights {
    if let weights = checkpoint.flatMap({ Self.weights($0, "flow_lm", packing) }) { return weights }
    guard let named = configuration.flowLM.weightsPath else {
      return try bundle("flow_lm", packing)
    }
    let path = try locations.path(of: named)
    return Weights(
      try Self.legacyFlowLM(SafetensorsFile(path: path)), subject: path, packing: packing,
      packed: try packing.map { try PackedWeights(of: path, part: "flow_lm", format: $0) })
  }

  /// The codec's tensors without the `mimi.` prefix.
  ///
  /// - Parameter packing: how matrices are packed for inference.
  func mimi(packing: WeightFormat? = nil) throws -> Weights {
    if let weights = checkpoint.flatMap({ Self.weights($0, "mimi", packing) }) { return weights }
    guard let named = configuration.mimi.weightsPath else { return try bundle("mimi", packing) }
    let path = try locations.path(of: named)
    return Weights(
      try Self.legacyMimi(SafetensorsFile(path: path)), subject: path, packing: packing,
      packed: try packing.map { try PackedWeights(of: path, part: "mimi", format: $0) })
  }

  /// The tensors of a part in a checkpoint; nil where it has none.
  private static func weights(
    _ checkpoint: TrainingCheckpoint, _ part: String, _ packing: WeightFormat?
  ) -> Weights? {
    let tensors = checkpoint.tensors(under: part + ".")
    guard !tensors.isEmpty else { return nil }
    return Weights(tensors, subject: checkpoint.path, packing: packing)
  }

  /// The path of the whole-model file.
  func bundlePath() throws -> String {
    guard let named = configuration.weightsPath else {
      throw Failure.configuration(
        locations.file, "it names no weights", "add 'weights_path: model.safetensors'")
    }
    return try locations.weights(named, open: configuration.weightsPathWithoutVoiceCloning)
  }

  /// What the file of the whole model says of itself; nothing where the parts have files of their own.
  func metadata() throws -> [String: String] {
    guard configuration.flowLM.weightsPath == nil, checkpoint == nil,
      try !bundlePath().hasSuffix(".pt")
    else { return [:] }
    return try SafetensorsFile(path: bundlePath()).metadata
  }

  private func bundle(_ part: String, _ packing: WeightFormat?) throws -> Weights {
    let path = try bundlePath()
    if path.hasSuffix(".pt") {
      let checkpoint = try TrainingCheckpoint(path: path)
      return Self.weights(checkpoint, part, packing) ?? Weights([:], subject: path)
    }
    let file = try SafetensorsFile(path: path)
    let known = ["flow_lm.", "mimi."]
    if let stranger = file.names.first(where: { name in !known.contains { name.hasPrefix($0) } }) {
      throw Failure.configuration(
        path, "tensor '\(stranger)' is neither under 'flow_lm.' nor under 'mimi.'",
        "convert the file with tts-model convert, or name it as a separate file")
    }
    let names = file.names.filter { $0.hasPrefix(part + ".") }
    return Weights(
      Dictionary(uniqueKeysWithValues: names.map { (String($0.dropFirst(part.count + 1)), $0) }),
      of: file, packed: try packing.map { try PackedWeights(of: path, part: part, format: $0) })
  }

  // MARK: Older separate files

  /// The older FlowLM file: other names, and tensors of the training that inference drops.
  static func legacyFlowLM(_ file: SafetensorsFile) throws -> [String: Tensor] {
    let conditions = "condition_provider.conditioners."
    let dropped = [
      conditions + "transcript_in_segment.learnt_padding",
      conditions + "speaker_wavs.learnt_padding", "num_ema_updates",
    ]
    let renamed = [
      conditions + "transcript_in_segment.embed.weight": "conditioner.embed.weight",
      conditions + "speaker_wavs.output_proj.weight": "speaker_proj_weight",
      "fuser.padding_value": "bos_before_voice",
    ]
    var tensors: [String: Tensor] = [:]
    for name in file.names where !dropped.contains(name) && !name.hasPrefix("flow.w_s_t.") {
      let key =
        renamed[name]
        ?? name.replacing(".self_attn.in_proj_weight", with: ".self_attn.in_proj.weight")
      tensors[key] = try Tensor(file: file, name: name)
    }
    return tensors
  }

  /// The older Mimi file: a prefix, doubled names, parts of other Mimi variants, weights split into
  /// length and direction.
  static func legacyMimi(_ file: SafetensorsFile) throws -> [String: Tensor] {
    var tensors: [String: Tensor] = [:]
    if file.names.contains(where: { $0.hasPrefix("mimi.") }) {
      for name in file.names where name.hasPrefix("mimi.") {
        tensors[String(name.dropFirst(5))] = try Tensor(file: file, name: name)
      }
      return tensors
    }
    func official(_ name: String) -> String {
      (name.hasPrefix("model.") ? String(name.dropFirst(6)) : name)
        .replacing(".conv.conv.", with: ".conv.")
        .replacing(".convtr.convtr.", with: ".convtr.")
        .replacing("in_proj_weight", with: "in_proj.weight")
    }
    let dropped = [
      "quantizer.logvar_proj.weight", "model.quantizer.logvar_proj.weight",
      "quantizer.logvar_param", "wavlm_input_resample.kernel", "wavlm_proj.weight",
    ]
    for name in file.names {
      if name.hasPrefix("model.quantizer.vq.") || dropped.contains(name)
        || name.contains("_codebook") || name.contains("wavlm_emb_downsample")
      {
        continue
      }
      if name.hasSuffix("_v") { continue }
      guard name.hasSuffix("_g") else {
        tensors[official(name)] = try Tensor(file: file, name: name)
        continue
      }
      let stem = String(name.dropLast(2))
      let length = try Tensor(file: file, name: name)
      let direction = try Tensor(file: file, name: stem + "_v")
      let rows = direction.reshaped([direction.shape[0], direction.count / direction.shape[0]])
      let scale = length.reshaped([rows.rows, 1]) * rows.squared().rowSums().rsqrt()
      tensors[official(stem)] = (rows * scale).reshaped(direction.shape)
    }
    return tensors
  }
}
