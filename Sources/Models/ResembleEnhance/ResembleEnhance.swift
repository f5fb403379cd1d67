import Base
public import ModelInterface
public import Training

/// Resemble-Enhance: a denoiser and a generative enhancer of speech at 44,100 Hz (package
/// resemble-enhance 0.0.1 is the reference).
public enum ResembleEnhance {
  /// The row for the registry.
  public static let descriptor = ModelDescriptor(
    name: "Resemble-Enhance", recognizes: { ModelFolder.isOne($0) },
    opening: .enhancement { try ResembleEnhanceModel(path: $0) },
    configurationNames: ModelSpecification.names,
    initializes: { ModelSpecification.isOne($0) },
    initialize: { try initializeModel($0) })

  /// One of its trainings.
  ///
  /// - Parameter warn: gets lines about what is left out.
  /// - Throws: `configuration`, `noInput`, `badInput`, `usage` where the task does not suit.
  public static func lesson(
    _ task: EnhancementTask, warn: @escaping @Sendable (String) -> Void
  ) throws -> any Lesson {
    try EnhancementLesson(task, warn: warn)
  }

  /// Checkpoints of its own trainer: run directories with DeepSpeed's files.
  public static let checkpointForm = CheckpointForm(
    name: "Resemble-Enhance", file: { try RunDirectory($0)?.weights },
    recognizes: { StateFile.recognizes($0) },
    convert: { try StateFile($0, $1).write(to: $1.directory) })
}

/// A run directory as the package has it: `hparams.yaml`, `ds/G/latest`,
/// `ds/G/TAG/mp_rank_00_model_states.pt`.
struct RunDirectory {
  /// The file with the weights of the tag that `latest` names.
  let weights: String

  private static let folder = "ds/G"
  private static let file = "mp_rank_00_model_states.pt"

  /// nil where it is no such directory.
  init?(_ path: String) throws {
    let latest = "\(path)/\(Self.folder)/latest"
    guard fileExists(latest) else { return nil }
    let bytes = try readFile(latest, limit: 1 << 16)
    let tag = String(decoding: bytes, as: UTF8.self).trimmingPrefix(while: \.isWhitespace)
      .prefix { !$0.isWhitespace }
    guard !tag.isEmpty, !tag.contains("/"), !tag.hasPrefix(".") else {
      throw Failure.configuration(latest, "it names no tag", "give the file of weights itself")
    }
    weights = "\(path)/\(Self.folder)/\(tag)/\(Self.file)"
  }

  /// The `hparams.yaml` of a file of weights: three folders above it, or beside it.
  static func hyperParameters(of weights: String) -> String? {
    let cut = weights.lastIndex(of: "/")
    let folder = cut.map { String(weights[..<$0]) } ?? "."
    return ["\(folder)/../../../hparams.yaml", "\(folder)/hparams.yaml"].first(where: fileExists)
  }

  /// Makes the folders of a new one and writes all but the weights.
  ///
  /// - Returns: where the weights go.
  /// - Throws: `cannotCreate` when it has weights already.
  static func create(_ path: String, _ parameters: HyperParameters) throws -> String {
    let weights = "\(path)/\(folder)/default/\(file)"
    guard !fileExists(weights) else {
      throw Failure(
        .cannotCreate, subject: path, problem: "there is a checkpoint already",
        remedy: "choose another directory or remove it first")
    }
    try createDirectory("\(path)/\(folder)/default")
    try AtomicFile.write(parameters.yaml(), to: path + "/hparams.yaml")
    try AtomicFile.write("default", to: "\(path)/\(folder)/latest")
    return weights
  }
}
