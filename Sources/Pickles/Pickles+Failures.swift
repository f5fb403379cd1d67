import Base
import Safetensors

extension Failure {
  /// A file that is damaged, or no PyTorch file at all.
  static func torchFile(_ problem: String, path: String? = nil) -> Failure {
    Failure(
      .badInput, subject: path, problem: "not a valid PyTorch file: \(problem)",
      remedy: "copy or save it again")
  }

  static func legacyTorchFile(_ path: String) -> Failure {
    Failure(
      .badInput, subject: path, problem: "in the form that PyTorch wrote before version 1.6",
      remedy: "load it with PyTorch and save it again")
  }

  static func torchScript(_ path: String) -> Failure {
    Failure(
      .badInput, subject: path, problem: "a TorchScript program, not a checkpoint",
      remedy: "save its state dictionary with torch.save")
  }

  static func compressedEntry(_ name: String) -> Failure {
    Failure(
      .badInput, problem: "'\(name)' is compressed or encrypted, which torch.save never does",
      remedy: "save it again with torch.save")
  }

  /// A pickle that names what could be run.
  static func refusedGlobal(_ name: String) -> Failure {
    Failure(
      .badInput, problem: "refuses \(name): a pickle may run it",
      remedy: "save dictionaries of tensors and plain values only")
  }

  static func unsupportedPickle(_ problem: String) -> Failure {
    Failure(
      .badInput, problem: problem,
      remedy: "save dictionaries of tensors and plain values only")
  }

  static func unpicklable(_ type: ElementType) -> Failure {
    Failure(
      .badInput, problem: "PyTorch files have no tensors of type \(type.rawValue)",
      remedy: "convert it to another type")
  }
}
