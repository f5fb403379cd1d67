import Base
import Foundation
import Hub
import Mimi
import ModelInterface
import NeuralNetworks
import Safetensors
import Tensors
import Text

/// An opened Pocket TTS model directory, YAML file or known configuration.
struct PocketTTSModel: SpeechModel {
  let path: String
  private(set) var configuration: Configuration
  var files: WeightFiles
  /// What its weights were made of, for the metadata of their file.
  var provenance: [String: String] = [:]
  private let locations: ModelFiles

  /// Reads the configuration of a directory, a YAML file (on disk or on a hub) or a known name.
  init(path: String) throws {
    self.path = path
    let configuration: Configuration
    if isDirectory(path) || fileExists(path) {
      let file = isDirectory(path) ? path + "/config.yaml" : path
      let cut = file.lastIndex(of: "/")
      let folder = cut.map { $0 == file.startIndex ? "/" : String(file[..<$0]) } ?? "."
      locations = ModelFiles(file: file, place: .folder(folder))
      configuration = try Self.configuration(file)
    } else if HubPath.isMeant(by: path) {
      let name = try HubPath(path)
      locations = ModelFiles(file: path, place: .hub(name))
      configuration = try Self.configuration(locations.hub.file(name))
    } else if let known = KnownConfigurations.named(path) {
      locations = ModelFiles(file: path, place: .known)
      configuration = known
    } else {
      throw Failure.noModel(path)
    }
    self.configuration = configuration
    files = WeightFiles(configuration: configuration, locations: locations)
  }

  /// The same with keys of its configuration changed.
  func setting(_ overrides: [TrainingTask.Override]) throws -> PocketTTSModel {
    guard !overrides.isEmpty else { return self }
    var model = self
    model.configuration = try configuration.setting(overrides, file: path)
    model.files = WeightFiles(configuration: model.configuration, locations: locations)
    model.files.checkpoint = files.checkpoint
    return model
  }

  /// Makes it a model with another kind of flow head, whose weights are elsewhere.
  mutating func changeHead(to type: Configuration.FlowType) {
    configuration.flowLM.flow.type = type
  }

  private static func configuration(_ file: String) throws -> Configuration {
    try Configuration(yaml: String(decoding: readFile(file), as: UTF8.self), file: file)
  }

  /// Whether a path is such a model: a directory with `config.yaml`, a YAML file, a known name.
  static func recognizes(_ path: String) -> Bool {
    if isDirectory(path) { return fileExists(path + "/config.yaml") }
    let bare = HubPath.isMeant(by: path) ? path.prefix { $0 != "@" } : path[...]
    return bare.hasSuffix(".yaml") || bare.hasSuffix(".yml")
      || KnownConfigurations.names.contains(path)
  }

  // MARK: Parts

  var voiceNames: [String] {
    locations.voiceNames(configuration: KnownConfigurations.name(of: configuration))
  }

  /// The tokenizer's file.
  func tokenizerPath() throws -> String {
    try locations.path(of: configuration.flowLM.lookupTable.tokenizerPath)
  }

  func fetch() throws -> [String] {
    var paths = [try tokenizerPath()]
    paths += try [configuration.flowLM.weightsPath, configuration.mimi.weightsPath]
      .compactMap { try $0.map(locations.path) }
    // Separate files of both parts leave nothing to a file of the whole.
    if paths.count < 3 { paths.append(try files.bundlePath()) }
    return paths
  }

  func voicePath(_ voice: String) throws -> String {
    try locations.voice(voice, configuration: KnownConfigurations.name(of: configuration))
  }

  func tokenizer() throws -> any Tokenizer {
    let path = try tokenizerPath()
    let table = configuration.flowLM.lookupTable
    let tokenizer = try loadTokenizer(
      path: path, kind: TokenizerKind(configured: table.tokenizer, path: path))
    guard tokenizer.size == table.nBins else {
      throw Failure.tokenizerSize(tokenizer.size, expected: table.nBins, file: path)
    }
    return tokenizer
  }

  func tokenizerDigest() throws -> SHA256Digest {
    SHA256Digest(of: try readFile(try tokenizerPath()))
  }

  private func mimi(_ precision: WeightFormat = .float32) throws -> Mimi {
    let weights = try files.mimi(packing: precision)
    let mimi = try Mimi(weights, configuration.codec)
    try weights.requireAllUsed()
    weights.store?.keep()
    return mimi
  }

  private func flowLM(_ precision: WeightFormat = .float32) throws -> FlowLM {
    let weights = try files.flowLM(packing: precision)
    let flowLM = try FlowLM(weights, configuration)
    try weights.requireAllUsed()
    weights.store?.keep()
    return flowLM
  }

  func codec(precision: WeightFormat) throws -> any AudioCodec {
    guard try hasVoiceEncoder() else {
      throw Failure.configuration(
        path, "its codec's encoder is all zeros: these weights cannot encode",
        "use the weights with voice cloning (see tts-model fetch)")
    }
    return try mimi(precision)
  }

  func pack(precision: WeightFormat) throws -> [String] {
    let flowWeights = try files.flowLM(packing: precision)
    _ = try FlowLM(flowWeights, configuration)
    let codecWeights = try files.mimi(packing: precision)
    _ = try Mimi(codecWeights, configuration.codec)
    return try [flowWeights, codecWeights].compactMap { weights in
      try weights.requireAllUsed()
      try weights.store?.write()
      return weights.store?.path
    }
  }

  /// Weights without voice cloning ship an encoder of zeros.
  private func hasVoiceEncoder() throws -> Bool {
    let weights = try files.mimi()
    let sizes = configuration.codec.encoder
    return try weights["encoder"]["model"][0]["conv"]
      .tensor("weight", [sizes.filters, sizes.channels, sizes.kernelSize]).sumOfSquares > 0
  }

  func synthesizer(precision: WeightFormat) throws -> any Synthesizer {
    try synthesizer(try flowLM(precision), precision)
  }

  /// Text to speech with a language model of this configuration.
  func synthesizer(_ flowLM: FlowLM, _ precision: WeightFormat) throws -> any Synthesizer {
    Generator(
      flowLM: flowLM, mimi: try mimi(precision), tokenizer: try tokenizer(),
      clonesVoices: try hasVoiceEncoder(), path: path)
  }

  func trainable(_ task: TrainingTask) throws -> any Trainable {
    try PocketTTSTrainable(start: TrainingStart(self, task))
  }

  // MARK: Digests

  private func digest(_ weights: Weights, where isWanted: (String) -> Bool) throws -> SHA256Digest {
    Tensors.digest(
      of: try weights.all().filter { isWanted($0.name) })
  }

  func encoderDigest() throws -> SHA256Digest {
    try digest(try files.mimi()) { name in
      ["encoder.", "encoder_transformer.", "downsample."].contains { name.hasPrefix($0) }
    }
  }

  func decoderDigest() throws -> SHA256Digest {
    try digest(try files.mimi()) { name in
      ["decoder.", "decoder_transformer.", "upsample.", "quantizer."].contains {
        name.hasPrefix($0)
      }
    }
  }

  func synthesizerDigest() throws -> SHA256Digest {
    var hasher = SHA256Hasher()
    hasher.update(try digest(try files.flowLM()) { _ in true }.bytes)
    hasher.update(try digest(try files.mimi()) { _ in true }.bytes)
    hasher.update(try tokenizerDigest().bytes)
    return hasher.finish()
  }

  // MARK: Facts and files

  func facts() throws -> [(name: String, value: String)] {
    let lm = configuration.flowLM
    let backbone = configuration.backbone
    func millions(_ weights: Weights) throws -> String {
      let count = try weights.all().reduce(0) { $0 + $1.tensor.count }
      return String(format: "%.2f M", Double(count) / 1e6)
    }
    return [
      ("model", "Pocket TTS"),
      ("flow", lm.flow.type.rawValue),
      ("backbone", "\(backbone.layers) layers of \(backbone.width)"),
      (
        "attention",
        "\(backbone.attention.heads) heads of \(backbone.attention.headSize), "
          + "\(backbone.attention.keyValueHeads) for keys"
      ),
      ("flow head", "\(lm.flow.depth) blocks of \(lm.flow.dim)"),
      ("vocabulary", String(lm.lookupTable.nBins)),
      ("sample rate", "\(configuration.mimi.sampleRate) Hz"),
      ("frame rate", "\(configuration.mimi.frameRate) Hz"),
      ("language model parameters", try millions(try files.flowLM())),
      ("codec parameters", try millions(try files.mimi())),
      ("voice encoder", try hasVoiceEncoder() ? "yes" : "no"),
      ("encoder digest", try encoderDigest().description),
      ("tokenizer digest", try tokenizerDigest().description),
    ] + (try files.metadata()[Self.meanKey].map { [("mean of", $0)] } ?? [])
  }

  func write(to directory: String, as form: ModelForm) throws {
    // Both parts are built once, so that what is written is known to load.
    let (flowLM, mimi) = (try files.unchanged.flowLM(), try files.mimi())
    _ = (try FlowLM(flowLM, configuration), try Mimi(mimi, configuration.codec), try tokenizer())
    try flowLM.requireAllUsed()
    try mimi.requireAllUsed()
    try writeModelDirectory(
      directory, configuration: configuration, tokenizer: try tokenizerPath(),
      flowLM: try files.flowLM(), mimi: mimi, form: form, metadata: provenance)
  }
}
