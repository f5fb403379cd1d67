import Base
public import ModelInterface
import PocketTTS
import ResembleEnhance

/// The models that the tools know.
public enum ModelRegistry {
  /// One row a model. Pocket TTS takes every configuration, as its package does, and is asked last.
  public static let descriptors: [ModelDescriptor] = [
    ResembleEnhance.descriptor, PocketTTS.descriptor,
  ]

  /// Whether a model can be opened by this path or name.
  public static func recognizes(_ path: String) -> Bool {
    descriptors.contains { $0.recognizes(path) }
  }

  /// Opens what `--model` names, of any kind: a directory, a YAML file, or a known configuration.
  ///
  /// - Throws: `noInput` when it is none of these; `configuration` when its content is wrong.
  public static func model(_ path: String) throws -> any Model {
    let descriptor = try descriptor(of: path, speechRemedy)
    switch descriptor.opening {
    case .speech(let open): return try open(path)
    case .enhancement(let open): return try open(path)
    }
  }

  /// Opens a model that speaks.
  ///
  /// - Throws: as ``model(_:)``; `configuration` when it does something else.
  public static func speechModel(_ path: String) throws -> any SpeechModel {
    let descriptor = try descriptor(of: path, speechRemedy)
    guard case .speech(let open) = descriptor.opening else {
      throw otherKind(path, descriptor, "which does not speak", isWanted: \.speaks)
    }
    return try open(path)
  }

  /// Opens a model that makes recordings better.
  ///
  /// - Throws: as ``model(_:)``; `configuration` when it does something else.
  public static func enhancementModel(_ path: String) throws -> any EnhancementModel {
    let descriptor = try descriptor(of: path, "give a directory of tts-model convert")
    guard case .enhancement(let open) = descriptor.opening else {
      throw otherKind(path, descriptor, "which enhances no recordings", isWanted: { !$0.speaks })
    }
    return try open(path)
  }

  /// The row of a path.
  ///
  /// - Throws: `configuration` for what `tts-model convert` makes a model of; `noInput` for all else.
  private static func descriptor(of path: String, _ remedy: String) throws -> ModelDescriptor {
    if let descriptor = descriptors.first(where: { $0.recognizes(path) }) { return descriptor }
    guard fileExists(path), try checkpointFile(path) != nil else {
      throw Failure(.noInput, subject: path, problem: "not a model", remedy: remedy)
    }
    throw Failure(
      .configuration, subject: path,
      problem: isCheckpoint(path)
        ? "a PyTorch file, not a model" : "a run of a model's own trainer, not a model",
      remedy: "make one of it with tts-model convert")
  }

  private static var speechRemedy: String {
    "give a directory with config.yaml and model.safetensors, a YAML file, or one of "
      + descriptors.filter(\.speaks).flatMap(\.configurationNames).joined(separator: ", ")
  }

  private static func otherKind(
    _ path: String, _ descriptor: ModelDescriptor, _ words: String,
    isWanted: (ModelDescriptor) -> Bool
  ) -> Failure {
    Failure(
      .configuration, subject: path, problem: "a model of \(descriptor.name), \(words)",
      remedy: "give a model of "
        + descriptors.filter(isWanted).map(\.name).joined(separator: " or "))
  }
}

extension ModelDescriptor {
  fileprivate var speaks: Bool { if case .speech = opening { true } else { false } }
}
