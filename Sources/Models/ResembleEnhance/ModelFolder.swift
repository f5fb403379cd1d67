import Base
import Pickles
import Safetensors
import Yams

/// A model directory of ours: `config.yaml` with the model's name, the part and the hyper-parameters, and
/// `model.safetensors` with the names of the package's state dictionary.
struct ModelFolder {
  private let path: String
  let parameters: HyperParameters

  private static let name = "resemble-enhance"

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
    guard let root = try Self.root(path), root["model"]?.scalar?.string == Self.name,
      let part = root["part"]?.scalar.flatMap({ Part(rawValue: $0.string) }),
      root["weights_path"]?.scalar?.string == "model.safetensors"
    else {
      throw Failure.configuration(
        file, "it does not describe a model of Resemble-Enhance", "convert the checkpoint again")
    }
    self.init(
      path: path, parameters: try HyperParameters(root["hparams"], part: part, file: file))
  }

  /// Writes a run directory that the package loads: what its trainer needs to go on, beyond the weights, is
  /// not in it.
  func export(to directory: String) throws {
    let file = try SafetensorsFile(path: weights)
    var shapes: [String: [Int]] = [:]
    var tensors: [String: PickledTensor] = [:]
    for name in file.names {
      guard let shape = file.shape(of: name), let type = file.type(of: name) else { continue }
      shapes[name] = shape
      tensors[name] = PickledTensor(key: name, type: type, shape: shape)
    }
    try StateLayout(parameters.part, names: file.names).check(shapes, parameters, file: weights)
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
