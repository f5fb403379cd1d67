import Base
import ModelInterface
import Yams

/// What a new model is: its hyper-parameters, and sizes that the trainer has in its code.
struct ModelSpecification {
  var parameters: HyperParameters
  var sizes = ModelSizes()

  /// What the released enhancer says of itself beyond the trainer's defaults.
  private static let released = """
    load_fg_only: false
    praat_augment_prob: 0.2
    training_seconds: 3.0
    batch_size_per_gpu: 32
    lcfm_training_mode: cfm
    lcfm_z_scale: 6
    gan_training_start_step: null
    """
  private static let denoiser = """
    training_seconds: 3.0
    batch_size_per_gpu: 32
    """

  /// The configurations that are known by name.
  static let names = ["resemble-enhance", "resemble-enhance-denoiser"]

  /// Whether a name or a file is such a configuration: `config.yaml` of a model directory, or an `hparams.yaml`.
  static func isOne(_ configuration: String) -> Bool {
    if names.contains(configuration) { return true }
    guard !isDirectory(configuration), fileExists(configuration),
      let root = try? root(configuration)
    else { return false }
    return root["model"]?.scalar?.string == ModelFolder.name
      || root.contains { HyperParameters.knows($0.key.scalar?.string ?? "") }
  }

  private static func root(_ file: String) throws -> Node.Mapping? {
    let text = String(decoding: try readFile(file, limit: 1 << 20), as: UTF8.self)
    return try? Yams.compose(yaml: text)?.mapping
  }

  /// What these hyper-parameters say, with the trainer's sizes.
  init(_ parameters: HyperParameters) { self.parameters = parameters }

  /// Reads a configuration for a part.
  ///
  /// - Throws: `configuration` where it is wrong, or of another part.
  init(_ configuration: String, part: Part) throws {
    if !Self.names.contains(configuration) {
      guard let root = try Self.root(configuration) else {
        throw Failure.configuration(
          configuration, "it is no YAML mapping", "give an hparams.yaml or a config.yaml")
      }
      if root["model"] == nil {
        self.init(try HyperParameters(Node.mapping(root), part: part, file: configuration))
        return
      }
    }
    try self.init(configuration)
    guard parameters.part == part else {
      throw Failure.configuration(
        configuration, "it is the configuration of \(parameters.part.withArticle)",
        "give one of \(part.withArticle)")
    }
  }

  /// Reads a configuration. An `hparams.yaml` is the denoiser's where it names nothing that is the enhancer's alone.
  ///
  /// - Throws: `configuration` where it is wrong.
  init(_ configuration: String) throws {
    switch configuration {
    case Self.names[0]:
      parameters = try HyperParameters(
        yaml: Self.released, part: .enhancer, file: configuration)
    case Self.names[1]:
      parameters = try HyperParameters(
        yaml: Self.denoiser, part: .denoiser, file: configuration)
    default:
      let root = try Self.root(configuration) ?? [:]
      guard root["model"] != nil else {
        let isEnhancer = root.contains {
          HyperParameters.knows($0.key.scalar?.string ?? "", of: .enhancer)
        }
        parameters = try HyperParameters(
          Node.mapping(root), part: isEnhancer ? .enhancer : .denoiser, file: configuration)
        return
      }
      parameters = try ModelFolder.parameters(root, file: configuration)
      if let node = root["sizes"] { sizes = try ModelSizes(node, file: configuration) }
    }
  }
}
