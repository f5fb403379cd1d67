import Base
import Foundation
import Pickles
import Safetensors
import TestSupport

/// Model directories of Resemble-Enhance, made by `tts-model convert` once for all tests.
enum EnhancementModels {
  /// The small enhancer of the fixtures, with a denoiser within; nil where that cannot be made.
  static let small: String? = make("ResembleEnhance/model", "enhancer")

  /// A denoiser whose U-Net has no levels, for many recordings.
  static let denoiser: String? = {
    let run = fixture("ResembleEnhance/layout/denoiser_run")
    guard fileExists(run), isBuilt("tts-model"), let model = folder?.file("denoiser") else {
      return nil
    }
    return (try? runTool("tts-model", ["convert", run, "-o", model]))?.code == 0 ? model : nil
  }()

  private static let folder: ScratchFolder? = {
    atexit { try? FileManager.default.removeItem(atPath: EnhancementModels.folder?.path ?? "") }
    return try? ScratchFolder()
  }()

  /// - Parameter source: a fixture with `model.safetensors`, as the package names its tensors, and `hparams.yaml`.
  private static func make(_ source: String, _ name: String) -> String? {
    guard hasFixture(source + "/hparams.yaml"), isBuilt("tts-model"), let folder else { return nil }
    do {
      let file = try SafetensorsFile(path: fixture(source + "/model.safetensors"))
      var tensors: [String: PickledTensor] = [:]
      for name in file.names {
        let array = try file.array(name)
        tensors[name] = PickledTensor(key: name, type: array.type, shape: array.shape)
      }
      let run = folder.file(name + "-run")
      try folder.write("default", to: name + "-run/ds/G/latest")
      try folder.write(readFile(fixture(source + "/hparams.yaml")), to: name + "-run/hparams.yaml")
      try createDirectory(run + "/ds/G/default")
      try writeTorchFile(
        .dictionary([PickledMember(.string("module"), PickledValue(tensors))]),
        to: run + "/ds/G/default/mp_rank_00_model_states.pt"
      ) { storage, write in try file.withBytes(storage.key, write) }
      let model = folder.file(name)
      let result = try runTool("tts-model", ["convert", run, "-o", model])
      return result.code == 0 ? model : nil
    } catch {
      return nil
    }
  }
}
