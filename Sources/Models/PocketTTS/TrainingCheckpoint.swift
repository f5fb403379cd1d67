import Base
public import ModelInterface
import NeuralNetworks
import Pickles
import Safetensors
import Tensors

/// The weights in a checkpoint of the official trainer, `{step, model, ema}`: what `model` holds, and over
/// it what the running average has of it. Tensors under `flow.` belong to the loss and to no model; the
/// codec is there only where it was trained.
struct TrainingCheckpoint: Sendable {
  /// The file.
  let path: String
  private let tensors: [String: Tensor]

  private static let parts = ["flow_lm.", "mimi."]

  /// Whether a file is one, by the names in it; a dictionary of the weights alone counts too.
  static func recognizes(_ file: TorchFile) -> Bool {
    let names = (file.content["model"] ?? file.content).members ?? []
    return names.contains {
      if case .string(let name) = $0.key { name.hasPrefix("flow_lm.") } else { false }
    }
  }

  /// Reads all tensors; those in float32 stay where they are in the file.
  ///
  /// - Parameter raw: the parameters themselves instead of their running average.
  /// - Throws: `configuration` when it is another checkpoint; `badInput` when a tensor is damaged or not
  ///   finite.
  init(_ file: TorchFile, raw: Bool = false) throws {
    path = file.path
    guard Self.recognizes(file), var found = (file.content["model"] ?? file.content).tensors else {
      throw Failure.configuration(
        file.path, "it is no checkpoint of the official trainer",
        "give a checkpoint_*.pt, a dictionary with 'model' and 'ema'")
    }
    if !raw, let average = file.content["ema"], average != .none {
      guard let shadow = average.tensors, shadow.keys.allSatisfy({ found[$0] != nil }) else {
        throw Failure.configuration(
          file.path, "its running average is not that of its model", "give another checkpoint")
      }
      found.merge(shadow) { $1 }
    }
    if let prompts = file.content["voice_prompts"]?.members, !prompts.isEmpty {
      RunMonitor.current.warn("\(file.path): its \(prompts.count) voice prompts are left out")
    }
    var tensors: [String: Tensor] = [:]
    for (name, tensor) in found {
      if name.hasPrefix("flow.") { continue }
      guard Self.parts.contains(where: name.hasPrefix) else {
        throw Failure.configuration(
          file.path, "tensor '\(name)' is neither under 'flow_lm.' nor under 'mimi.'",
          "give a checkpoint of the official trainer")
      }
      do { tensors[name] = try Tensor(file: file, tensor) } catch let failure as Failure {
        var failure = failure.about(file.path)
        failure.problem = "tensor '\(name)': \(failure.problem)"
        throw failure
      }
    }
    self.tensors = tensors
  }

  /// Opens a file and reads its tensors.
  init(path: String) throws { try self.init(TorchFile(path: path)) }

  /// The tensors under a prefix, without it.
  func tensors(under prefix: String) -> [String: Tensor] {
    Dictionary(
      uniqueKeysWithValues: tensors.filter { $0.key.hasPrefix(prefix) }.map {
        (String($0.key.dropFirst(prefix.count)), $0.value)
      })
  }
}

extension Tensor {
  /// A tensor of a PyTorch file, mapped in place when it is float32 and row by row there.
  ///
  /// - Throws: `badInput` when it is damaged, holds no floats or is not finite.
  fileprivate init(file: TorchFile, _ tensor: PickledTensor) throws {
    if tensor.storage.type == .f32, let bytes = try file.bytes(of: tensor),
      let base = bytes.baseAddress,
      UInt(bitPattern: base).isMultiple(of: UInt(MemoryLayout<Float>.alignment))
    {
      self.init(
        borrowing: base.assumingMemoryBound(to: Float.self), shape: tensor.shape, owner: file)
    } else {
      self.init(try file.array(tensor).floats(), shape: tensor.shape)
    }
    guard withValues({ $0.allSatisfy(\.isFinite) }) else {
      throw Failure(
        .badInput, problem: "a value is not finite", remedy: "give an earlier checkpoint")
    }
  }
}

extension PocketTTS {
  /// Checkpoints of the official trainer.
  public static let checkpointForm = CheckpointForm(
    name: "Pocket TTS", recognizes: { TrainingCheckpoint.recognizes($0) },
    convert: { file, conversion in
      guard let configuration = conversion.configuration else {
        throw Failure(
          .usage, subject: file.path, problem: "it does not say what model it belongs to",
          remedy: "name its configuration with --config: a YAML file, or one of "
            + KnownConfigurations.names.joined(separator: ", "))
      }
      let checkpoint = try TrainingCheckpoint(file, raw: conversion.raw)
      try PocketTTSModel(path: configuration).with(checkpoint)
        .write(to: conversion.directory, as: conversion.form)
    })
}

extension PocketTTSModel {
  /// The same model with the weights of a checkpoint; the codec is its own unless the checkpoint has one.
  func with(_ checkpoint: TrainingCheckpoint) -> PocketTTSModel {
    var model = self
    model.files.checkpoint = checkpoint
    return model
  }

  /// As `{step, model, ema}` without an average: the official package generates with it, and its trainer
  /// takes it as a teacher or a start.
  func writeCheckpoint(to path: String) throws {
    guard !fileExists(path) else {
      throw Failure(
        .cannotCreate, subject: path, problem: "it exists",
        remedy: "choose another name or remove it first")
    }
    let weights = try files.flowLM()
    var tensors: [String: PickledTensor] = [:]
    for key in weights.keys {
      let name = "flow_lm." + key
      tensors[name] = PickledTensor(key: key, type: .f32, shape: try weights.value(key).shape)
    }
    let content = PickledValue(["step": .integer(0), "model": PickledValue(tensors), "ema": .none])
    try writeTorchFile(content, to: path) { storage, write in
      let tensor = try weights.value(storage.key)
      try tensor.withValues { try write(UnsafeRawBufferPointer($0)) }
      tensor.releasePages()
    }
  }
}
