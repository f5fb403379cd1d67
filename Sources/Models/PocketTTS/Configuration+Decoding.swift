import Base
import Mimi
import NeuralNetworks
import Tensors
import Yams

/// One mapping of a YAML file, read key by key; what nobody asked for is an error, as in the
/// official package.
private final class YAMLMap {
  private let file: String
  private let path: String
  private var values: [String: Node]
  private let order: [String]

  init(_ node: Node, file: String, path: String) throws {
    guard let mapping = node.mapping else {
      throw Failure.configuration(file, "'\(path)' is not a mapping", "see the official YAML files")
    }
    self.file = file
    self.path = path
    var values: [String: Node] = [:]
    var order: [String] = []
    for (key, value) in mapping {
      guard let name = key.scalar?.string else {
        throw Failure.configuration(file, "a key under '\(path)' is not a text", "name it")
      }
      guard values[name] == nil else {
        throw Failure.configuration(file, "key '\(path)\(name)' appears twice", "keep one of them")
      }
      values[name] = value
      order.append(name)
    }
    self.values = values
    self.order = order
  }

  var keys: [String] { order }

  /// The value, taken out; nil when absent or null.
  private func take(_ key: String) -> Node? {
    guard let node = values.removeValue(forKey: key) else { return nil }
    if let scalar = node.scalar, scalar.style == .plain,
      ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    {
      return nil
    }
    return node
  }

  private func required<Value>(_ key: String, _ value: Value?) throws -> Value {
    guard let value else {
      throw Failure.configuration(file, "key '\(path)\(key)' is missing", "add it")
    }
    return value
  }

  private func scalar(_ key: String) throws -> String? {
    guard let node = take(key) else { return nil }
    guard let text = node.scalar?.string else {
      throw Failure.configuration(file, "'\(path)\(key)' is not a single value", "mend it")
    }
    return text
  }

  private func parsed<Value>(_ key: String, _ kind: String, _ parse: (String) -> Value?) throws
    -> Value?
  {
    guard let text = try scalar(key) else { return nil }
    guard let value = parse(text) else {
      throw Failure.configuration(file, "'\(path)\(key)' is not \(kind): '\(text)'", "mend it")
    }
    return value
  }

  static func wholeNumber(_ text: String) -> Int? {
    if let value = Int(text) { return value }
    guard let value = Double(text), value == value.rounded(), abs(value) < 1e15 else { return nil }
    return Int(value)
  }

  func optionalText(_ key: String) throws -> String? { try scalar(key) }
  func text(_ key: String) throws -> String { try required(key, try scalar(key)) }
  func optionalInt(_ key: String) throws -> Int? {
    try parsed(key, "a whole number", Self.wholeNumber)
  }
  func int(_ key: String) throws -> Int { try required(key, try optionalInt(key)) }
  func optionalNumber(_ key: String) throws -> Double? {
    try parsed(key, "a number") { Double($0).flatMap { $0.isFinite ? $0 : nil } }
  }
  func number(_ key: String) throws -> Double { try required(key, try optionalNumber(key)) }
  func optionalBool(_ key: String) throws -> Bool? {
    try parsed(key, "true or false") { text in
      switch text.lowercased() {
      case "true", "yes", "on", "1": true
      case "false", "no", "off", "0": false
      default: nil
      }
    }
  }
  func positive(_ key: String) throws -> Int {
    try checked(key, try int(key))
  }
  func optionalPositive(_ key: String) throws -> Int? {
    try optionalInt(key).map { try checked(key, $0) }
  }
  private func checked(_ key: String, _ value: Int) throws -> Int {
    guard value > 0, value <= 1 << 24 else {
      throw Failure.configuration(file, "'\(path)\(key)' is out of range: \(value)", "mend it")
    }
    return value
  }
  func positives(_ key: String) throws -> [Int] {
    guard let sequence = try required(key, take(key)).sequence else {
      throw Failure.configuration(file, "'\(path)\(key)' is not a list", "mend it")
    }
    return try sequence.map { node in
      guard let value = node.scalar.flatMap({ Self.wholeNumber($0.string) }) else {
        throw Failure.configuration(
          file, "'\(path)\(key)' is not a list of whole numbers", "mend it")
      }
      return try checked(key, value)
    }
  }
  func optionalMap(_ key: String) throws -> YAMLMap? {
    try take(key).map { try YAMLMap($0, file: file, path: "\(path)\(key).") }
  }
  func map(_ key: String) throws -> YAMLMap { try required(key, try optionalMap(key)) }

  /// - Throws: when a key is left that nobody asked for.
  func finish() throws {
    if let key = order.first(where: { values[$0] != nil }) {
      throw Failure.configuration(
        file, "unknown key '\(path)\(key)'", "remove it, or update the tools")
    }
  }
}

extension Configuration {
  /// Reads an official YAML text.
  ///
  /// - Throws: `configuration` naming the key for anything unknown, missing or impossible.
  init(yaml: String, file: String) throws {
    let node: Node?
    do {
      node = try Yams.compose(yaml: yaml)
    } catch {
      let message = String(describing: error).split(separator: "\n").first.map(String.init)
      throw Failure.configuration(file, "not YAML: \(message ?? "")", "mend the file")
    }
    guard let node else { throw Failure.configuration(file, "the file is empty", "see README") }
    let root = try YAMLMap(node, file: file, path: "")
    weightsPath = try root.optionalText("weights_path")
    weightsPathWithoutVoiceCloning = try root.optionalText("weights_path_without_voice_cloning")
    padWithSpacesForShortInputs =
      try root.optionalBool("pad_with_spaces_for_short_inputs") ?? false
    removeSemicolons = try root.optionalBool("remove_semicolons") ?? false
    appendTerminalPunctuation = try root.optionalBool("append_terminal_punctuation") ?? true
    capitalizeFirstLetter = try root.optionalBool("capitalize_first_letter") ?? true
    if let map = try root.optionalMap("replace_characters") {
      replaceCharacters = try map.keys.map { key in
        guard key.unicodeScalars.count == 1 else {
          throw Failure.configuration(
            file, "'replace_characters' key '\(key)' is not one character", "mend it")
        }
        return Replacement(character: key, replacement: try map.optionalText(key) ?? "")
      }
    }
    recommendedFramesAfterEOS = try root.optionalInt("model_recommended_frames_after_eos")
    defaultTemperature = try root.optionalNumber("default_temperature") ?? 0.3
    defaultEOSThreshold = try root.optionalNumber("default_eos_threshold") ?? -4
    flowLM = try FlowLM(try root.map("flow_lm"), file: file)
    mimi = try Codec(try root.map("mimi"))
    try root.finish()
    try check(file: file)
  }

  /// What must fit together.
  private func check(file: String) throws {
    func require(_ holds: Bool, _ problem: String) throws {
      if !holds { throw Failure.configuration(file, problem, "mend the configuration") }
    }
    let (backbone, codec) = (self.backbone, self.codec)
    let attention = backbone.attention
    let t = flowLM.transformer
    try require(
      (t.attnDim ?? t.dModel).isMultiple(of: t.numHeads) && attention.headSize.isMultiple(of: 2),
      "the attention width is not an even multiple of 'num_heads'")
    try require(
      attention.heads.isMultiple(of: attention.keyValueHeads),
      "'num_kv_heads' does not divide 'num_heads'")
    try require(
      flowLM.lookupTable.dim == t.dModel, "'lookup_table.dim' is not 'transformer.d_model'")
    try require(
      mimi.quantizerOutputDimension == codec.outerDimension,
      "'quantizer.output_dimension' is not the decoder's width")
    let frame = Double(mimi.sampleRate) / mimi.frameRate
    for (name, network) in [("seanet", codec.encoder), ("decoder_seanet", codec.decoder)] {
      let hop = Double(network.hop)
      try require(
        frame == frame.rounded() && (frame / hop) == (frame / hop).rounded() && frame >= hop,
        "a frame is not a whole number of steps of 'mimi.\(name)'")
    }
    try require(mimi.channels == 1 && mimi.seanet.channels == 1, "only mono codecs are known")
    for (name, transformer) in [
      ("transformer", mimi.transformer),
      ("decoder_transformer", mimi.decoderTransformer ?? mimi.transformer),
    ] {
      try require(
        transformer.dModel.isMultiple(of: 2 * transformer.numHeads)
          && transformer.outputDimensions.count == 1, "'mimi.\(name)' has impossible sizes")
    }
    try require(
      (flowLM.weightsPath == nil) || mimi.weightsPath != nil,
      "'flow_lm.weights_path' needs 'mimi.weights_path' beside it")
    try require(
      mimi.weightsPath == nil || flowLM.weightsPath != nil || weightsPath != nil,
      "'mimi.weights_path' needs the language model's weights beside it")
  }
}

extension Configuration.FlowLM {
  fileprivate init(_ map: YAMLMap, file: String) throws {
    dtype = try map.text("dtype")
    insertBOSBeforeVoice = try map.optionalBool("insert_bos_before_voice") ?? false
    zDim = try map.optionalPositive("z_dim")
    weightsPath = try map.optionalText("weights_path")
    let flowMap = try map.map("flow")
    let name = try flowMap.optionalText("type") ?? "lsd"
    guard let type = Configuration.FlowType(rawValue: name) else {
      throw Failure.configuration(
        file, "unknown 'flow_lm.flow.type' '\(name)'",
        "use one of " + Configuration.FlowType.allCases.map(\.rawValue).joined(separator: ", "))
    }
    flow = Configuration.Flow(
      dim: try flowMap.positive("dim"), depth: try flowMap.positive("depth"), type: type)
    try flowMap.finish()
    let t = try map.map("transformer")
    transformer = Configuration.Backbone(
      hiddenScale: try t.positive("hidden_scale"), maxPeriod: try t.positive("max_period"),
      dModel: try t.positive("d_model"), numHeads: try t.positive("num_heads"),
      numLayers: try t.positive("num_layers"), attnDim: try t.optionalPositive("attn_dim"),
      numKVHeads: try t.optionalPositive("num_kv_heads"),
      dimFeedforward: try t.optionalPositive("dim_feedforward"))
    try t.finish()
    let table = try map.map("lookup_table")
    lookupTable = Configuration.LookupTable(
      dim: try table.positive("dim"), nBins: try table.positive("n_bins"),
      rank: try table.optionalPositive("rank"), tokenizer: try table.text("tokenizer"),
      tokenizerPath: try table.text("tokenizer_path"))
    try table.finish()
    try map.finish()
  }
}

extension Configuration.Codec {
  fileprivate init(_ map: YAMLMap) throws {
    dtype = try map.text("dtype")
    sampleRate = try map.positive("sample_rate")
    channels = try map.positive("channels")
    frameRate = try map.number("frame_rate")
    innerDim = try map.optionalPositive("inner_dim")
    outerDim = try map.optionalPositive("outer_dim")
    weightsPath = try map.optionalText("weights_path")
    seanet = try Configuration.SEANet(try map.map("seanet"))
    decoderSEANet = try map.optionalMap("decoder_seanet").map { try Configuration.SEANet($0) }
    transformer = try Configuration.CodecTransformer(try map.map("transformer"))
    decoderTransformer = try map.optionalMap("decoder_transformer").map {
      try Configuration.CodecTransformer($0)
    }
    let quantizer = try map.map("quantizer")
    quantizerDimension = try quantizer.positive("dimension")
    quantizerOutputDimension = try quantizer.positive("output_dimension")
    try quantizer.finish()
    try map.finish()
  }
}

extension Configuration.SEANet {
  fileprivate init(_ map: YAMLMap) throws {
    dimension = try map.positive("dimension")
    channels = try map.positive("channels")
    nFilters = try map.positive("n_filters")
    nResidualLayers = try map.positive("n_residual_layers")
    ratios = try map.positives("ratios")
    kernelSize = try map.positive("kernel_size")
    residualKernelSize = try map.positive("residual_kernel_size")
    lastKernelSize = try map.positive("last_kernel_size")
    dilationBase = try map.positive("dilation_base")
    padMode = try map.text("pad_mode")
    compress = try map.positive("compress")
    try map.finish()
  }
}

extension Configuration.CodecTransformer {
  fileprivate init(_ map: YAMLMap) throws {
    dModel = try map.positive("d_model")
    inputDimension = try map.positive("input_dimension")
    outputDimensions = try map.positives("output_dimensions")
    numHeads = try map.positive("num_heads")
    numLayers = try map.positive("num_layers")
    layerScale = try map.number("layer_scale")
    context = try map.positive("context")
    dimFeedforward = try map.positive("dim_feedforward")
    maxPeriod = try map.optionalPositive("max_period") ?? 10000
    try map.finish()
  }
}
