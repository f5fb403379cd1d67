import Base
import ModelInterface
import Pickles
import Safetensors

/// The state dictionary in a checkpoint of the package's trainer, or in a file by itself, checked against
/// the hyper-parameters of its run.
struct StateFile {
  private let file: TorchFile
  private let tensors: [String: PickledTensor]
  private let parameters: HyperParameters

  /// What DeepSpeed counts, which goes into the metadata of the weights.
  static let counts = ["global_steps", "global_samples"]

  private static func state(_ file: TorchFile) -> PickledValue {
    file.content["module"] ?? file.content
  }

  private static func names(_ file: TorchFile) -> [String] {
    (state(file).members ?? []).compactMap { member in
      if case .string(let name) = member.key { name } else { nil }
    }
  }

  /// Whether a file is one, by the names in it; the discriminator of a run counts too, to say what it is.
  static func recognizes(_ file: TorchFile) -> Bool {
    let names = names(file)
    return StateLayout.part(names) != nil || isDiscriminator(names)
  }

  private static func isDiscriminator(_ names: [String]) -> Bool {
    names.contains { $0.hasPrefix("mpd.") } && names.contains { $0.hasPrefix("mrd.") }
  }

  /// - Throws: `configuration` when it is not the model that the hyper-parameters say; `badInput` when a
  ///   tensor is damaged or not finite.
  init(_ file: TorchFile, _ conversion: CheckpointConversion) throws {
    guard conversion.form == ModelForm(), !conversion.raw else { throw Failure.otherForm }
    let names = Self.names(file)
    guard let part = StateLayout.part(names), let tensors = Self.state(file).tensors else {
      throw Failure.otherState(
        file.path,
        Self.isDiscriminator(names)
          ? "it is the discriminator of a run" : "its module holds more than tensors")
    }
    guard let path = conversion.configuration ?? RunDirectory.hyperParameters(of: file.path) else {
      throw Failure(
        .noInput, subject: file.path, problem: "there is no hparams.yaml of its run",
        remedy: "name it with --config")
    }
    parameters = try HyperParameters(
      yaml: String(decoding: readFile(path, limit: 1 << 20), as: UTF8.self), part: part, file: path)
    self.file = file
    self.tensors = tensors
    try StateLayout(part, names: tensors.keys)
      .check(tensors.mapValues(\.shape), parameters, file: file.path)
    try requireFinite()
  }

  /// Statistics are not numbers until the trainer has seen something.
  private func requireFinite() throws {
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key })
    where !name.hasSuffix("_unsafe") {
      let values: [Float]
      do { values = try file.array(tensor).floats() } catch let failure as Failure {
        var failure = failure.about(file.path)
        failure.problem = "tensor '\(name)': \(failure.problem)"
        throw failure
      }
      guard values.allSatisfy(\.isFinite) else {
        throw Failure(
          .badInput, subject: file.path, problem: "tensor '\(name)' has a value that is not finite",
          remedy: "give an earlier checkpoint")
      }
    }
  }

  /// Writes a model directory: our configuration, and last the weights under their own names and types.
  func write(to directory: String) throws {
    try createDirectory(directory)
    let folder = ModelFolder(path: directory, parameters: parameters)
    try AtomicFile.write(folder.yaml, to: folder.configuration)
    var metadata: [String: String] = [:]
    for key in Self.counts {
      if let count = file.content[key]?.integer { metadata[key] = String(count) }
    }
    try writeSafetensors(
      tensors.map { (name: $0.key, type: $0.value.storage.type, shape: $0.value.shape) },
      metadata: metadata, to: folder.weights
    ) { name, _, write in
      guard let tensor = tensors[name] else { return }
      if let bytes = try file.bytes(of: tensor) {
        try write(bytes)
      } else {
        try file.array(tensor).bytes.withUnsafeBytes(write)
      }
    }
  }
}
