import Base
public import ModelInterface
public import Pickles
import PocketTTS
import ResembleEnhance

extension ModelRegistry {
  /// The checkpoints of other trainers that the tools know.
  public static let checkpointForms: [CheckpointForm] = [
    PocketTTS.checkpointForm, ResembleEnhance.checkpointForm,
  ]

  /// Whether a path is that of a PyTorch file, by its name.
  static func isCheckpoint(_ path: String) -> Bool {
    [".pt", ".pth", ".ckpt"].contains(where: path.hasSuffix)
  }

  /// The PyTorch file that a path names: itself, or the one in a directory of another trainer; nil where
  /// it names something else.
  public static func checkpointFile(_ path: String) throws -> String? {
    if isCheckpoint(path) { return path }
    for form in checkpointForms {
      if let file = try form.file(path) { return file }
    }
    return nil
  }

  /// The form of a checkpoint.
  ///
  /// - Throws: `configuration` when it belongs to no model that is known.
  public static func checkpointForm(of file: TorchFile) throws -> CheckpointForm {
    if let form = checkpointForms.first(where: { $0.recognizes(file) }) { return form }
    let keys = (file.content.members ?? []).prefix(3).map { member in
      switch member.key {
      case .string(let text): "'\(text)'"
      case .integer(let number): String(number)
      }
    }
    let found = keys.isEmpty ? "" : " (it holds \(keys.joined(separator: ", ")), …)"
    throw Failure(
      .configuration, subject: file.path,
      problem: "a checkpoint of no model that is known here" + found,
      remedy: "give one of " + checkpointForms.map(\.name).joined(separator: " or "))
  }
}
