import Base
import Pickles
import Safetensors
import Yams

/// A model directory of ours: `config.yaml` with the model's name, the part and the hyper-parameters, and
/// `model.safetensors` with the names of the package's state dictionary.
struct ModelFolder {
  let path: String
  let parameters: HyperParameters

  /// What the configuration calls the model.
  static let name = "resemble-enhance"

  init(path: String, parameters: HyperParameters) {
    self.path = path
    self.parameters = parameters
  }

  /// The file of the configuration.
  var configuration: String { path + "/config.yaml" }
  /// The file of the weights.
  var weights: String { path + "/model.safetensors" }

  /// The text of `config.yaml`.
  var yaml: String {
    """
    model: \(Self.name)
    part: \(parameters.part.rawValue)
    weights_path: model.safetensors
    hparams:
    \(parameters.yaml(indentation: "  "))
    """
  }

  private static func root(_ path: String) throws -> Node.Mapping? {
    let text = String(decoding: try readFile(path + "/config.yaml", limit: 1 << 20), as: UTF8.self)
    return try? Yams.compose(yaml: text)?.mapping
  }

  /// Whether a path is such a directory.
  static func isOne(_ path: String) -> Bool {
    guard isDirectory(path), let root = try? root(path) else { return false }
    return root["model"]?.scalar?.string == name
  }

  /// Reads the configuration.
  ///
  /// - Throws: `configuration` where it is wrong.
  init(path: String) throws {
    let file = path + "/config.yaml"
    guard let root = try Self.root(path),
      root["weights_path"]?.scalar?.string == "model.safetensors"
    else { throw Failure.otherConfiguration(file) }
    self.init(path: path, parameters: try Self.parameters(root, file: file))
  }

  /// The hyper-parameters in a configuration.
  ///
  /// - Throws: `configuration` where it is of no such model.
  static func parameters(_ root: Node.Mapping, file: String) throws -> HyperParameters {
    guard root["model"]?.scalar?.string == name,
      let part = root["part"]?.scalar.flatMap({ Part(rawValue: $0.string) })
    else { throw Failure.otherConfiguration(file) }
    return try HyperParameters(root["hparams"], part: part, file: file)
  }

  /// Opens the weights, whose names and shapes are those of the model.
  ///
  /// - Throws: `noInput` where there are none, `configuration` where they are of another model.
  func openWeights() throws -> SafetensorsFile {
    let file = try SafetensorsFile(path: weights)
    let shapes = Dictionary(uniqueKeysWithValues: file.names.map { ($0, file.shape(of: $0) ?? []) })
    try StateLayout(parameters.part, names: file.names).check(shapes, parameters, file: weights)
    return file
  }

  /// Writes a run directory that the package loads: what its trainer needs to go on, beyond the weights, is
  /// not in it.
  func export(to directory: String) throws {
    let file = try openWeights()
    var tensors: [String: PickledTensor] = [:]
    for name in file.names {
      guard let shape = file.shape(of: name), let type = file.type(of: name) else { continue }
      tensors[name] = PickledTensor(key: name, type: type, shape: shape)
    }
    var members = [PickledMember(.string("module"), PickledValue(tensors))]
    for key in StateFile.counts {
      guard let count = file.metadata[key].flatMap({ Int64($0) }) else { continue }
      members.append(PickledMember(.string(key), .integer(count)))
    }
    let output = try RunDirectory.create(directory, parameters)
    try writeTorchFile(.dictionary(members), to: output) { storage, write in
      try file.withBytes(storage.key, write)
    }
  }
}
