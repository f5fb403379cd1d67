import Base
import ModelInterface
import ModelRegistry
import Training

/// Opens a model of any kind, or what a run had at a checkpoint, as ``openSpeechModel(_:checkpoint:raw:)`` does.
func openModel(_ path: String, checkpoint: Int?, raw: Bool) throws -> any Model {
  guard checkpoint == nil, !raw, !path.hasSuffix(".safetensors") else {
    return try openSpeechModel(path, checkpoint: checkpoint, raw: raw)
  }
  return try ModelRegistry.model(path)
}

/// Opens a model that speaks, or what a run had at a checkpoint: `RUN/checkpoints/00002000.safetensors` names one
/// too.
///
/// - Parameters:
///   - checkpoint: a step of the run that `path` is.
///   - raw: the parameters instead of their running average.
func openSpeechModel(
  _ path: String, checkpoint: Int? = nil, raw: Bool = false
) throws -> any SpeechModel {
  if path.hasSuffix(".safetensors") {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    guard checkpoint == nil, let step = Int(parts[parts.count - 1].dropLast(12)) else {
      throw Failure(
        .usage, subject: path, problem: "neither a model nor a checkpoint of a run",
        remedy: "name the directory of the model or of the run")
    }
    let folder = parts.count == 1 ? "." : parts.dropLast().joined(separator: "/")
    return try model(of: folder + "/..", in: folder, step, raw, path)
  }
  guard checkpoint != nil || raw else { return try ModelRegistry.speechModel(path) }
  let folder = path + "/checkpoints"
  guard let step = checkpoint ?? Checkpoints(folder: folder, kept: 1).steps().first else {
    throw Failure(
      .noInput, subject: path, problem: "it has no checkpoints", remedy: "name a run of tts-train")
  }
  return try model(of: path, in: folder, step, raw, folder)
}

private func model(
  of run: String, in folder: String, _ step: Int, _ raw: Bool, _ subject: String
) throws -> any SpeechModel {
  let weights = try Checkpoints(folder: folder, kept: 1).weights(at: step, raw: raw)
  return try ModelRegistry.speechModel(run).replacing(weights, from: subject)
}
