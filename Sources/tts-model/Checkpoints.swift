import Base
import ModelInterface
import ModelRegistry
import Training

/// Opens a model, or what a run had at a checkpoint: `RUN/checkpoints/00002000.safetensors` names one too.
///
/// - Parameters:
///   - checkpoint: a step of the run that `path` is.
///   - raw: the parameters instead of their running average.
func openModel(_ path: String, checkpoint: Int? = nil, raw: Bool = false) throws -> any Model {
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
  guard checkpoint != nil || raw else { return try ModelRegistry.open(path) }
  let folder = path + "/checkpoints"
  guard let step = checkpoint ?? Checkpoints(folder: folder, kept: 1).steps().first else {
    throw Failure(
      .noInput, subject: path, problem: "it has no checkpoints", remedy: "name a run of tts-train")
  }
  return try model(of: path, in: folder, step, raw, folder)
}

private func model(
  of run: String, in folder: String, _ step: Int, _ raw: Bool, _ subject: String
) throws -> any Model {
  let weights = try Checkpoints(folder: folder, kept: 1).weights(at: step, raw: raw)
  return try ModelRegistry.open(run).replacing(weights, from: subject)
}
