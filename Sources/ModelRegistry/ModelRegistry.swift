import Base
public import ModelInterface
import PocketTTS

/// The models that the tools know.
public enum ModelRegistry {
  /// One row a model.
  public static let descriptors: [ModelDescriptor] = [PocketTTS.descriptor]

  /// Whether a model can be opened by this path or name.
  public static func recognizes(_ path: String) -> Bool {
    descriptors.contains { $0.recognizes(path) }
  }

  /// Opens what `--model` names: a directory, a YAML file, or a known configuration.
  ///
  /// - Throws: `noInput` when it is none of these; `configuration` when its content is wrong.
  public static func open(_ path: String) throws -> any Model {
    for form in checkpointForms where form.exports(path) {
      throw Failure(
        .configuration, subject: path, problem: "a model of \(form.name), which does not speak",
        remedy: "give a model of " + descriptors.map(\.name).joined(separator: " or "))
    }
    for descriptor in descriptors where descriptor.recognizes(path) {
      return try descriptor.open(path)
    }
    if isCheckpoint(path), fileExists(path) {
      throw Failure(
        .configuration, subject: path, problem: "a PyTorch file, not a model",
        remedy: "make one of it with tts-model convert")
    }
    throw Failure(
      .noInput, subject: path, problem: "not a model",
      remedy: "give a directory with config.yaml and model.safetensors, a YAML file, or one of "
        + descriptors.flatMap(\.configurationNames).joined(separator: ", "))
  }
}
