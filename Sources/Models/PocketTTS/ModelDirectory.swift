import Base
import ModelInterface
import NeuralNetworks
import Safetensors
import Tensors

/// Writes a model directory: tokenizer, configuration, and last the weights, one tensor after the other.
/// Paths in the configuration name the files beside it, or where they will be on a hub.
///
/// - Parameters:
///   - flowLM: the language model's tensors under the prefix.
///   - mimi: the codec's.
///   - metadata: of the file of weights.
func writeModelDirectory(
  _ directory: String, configuration: Configuration, tokenizer: String, flowLM: Weights,
  mimi: Weights, form: ModelForm = ModelForm(), metadata: [String: String] = [:]
) throws {
  try createDirectory(directory)
  let name = tokenizer.hasSuffix(".json") ? "tokenizer.json" : "tokenizer.model"
  let folder = form.hubFolder.map { "hf://\($0)/" } ?? ""
  var configuration = configuration
  configuration.weightsPath = folder + "model.safetensors"
  configuration.weightsPathWithoutVoiceCloning = nil
  configuration.flowLM.weightsPath = nil
  configuration.mimi.weightsPath = nil
  configuration.flowLM.lookupTable.tokenizerPath = folder + name
  let bytes = try readFile(tokenizer)
  try AtomicFile.write(bytes, to: directory + "/" + name)
  try AtomicFile.write(configuration.yaml, to: directory + "/config.yaml")
  try write(
    [("flow_lm.", flowLM), ("mimi.", mimi)], form.precision, metadata,
    to: directory + "/model.safetensors")
}

/// Writes tensors to one file, each when its turn comes.
private func write(
  _ parts: [(prefix: String, weights: Weights)], _ precision: WeightFormat,
  _ metadata: [String: String], to path: String
) throws {
  var arrays: [(name: String, type: ElementType, shape: [Int])] = []
  var places: [String: (weights: Weights, name: String)] = [:]
  for (prefix, weights) in parts {
    for name in weights.keys {
      let shape = try weights.value(name).shape
      // Vectors are as good as nothing in size.
      let isShort = precision == .bfloat16 && shape.count > 1
      arrays.append((prefix + name, isShort ? .bf16 : .f32, shape))
      places[prefix + name] = (weights, name)
    }
  }
  try writeSafetensors(arrays, metadata: metadata, to: path) { name, type, write in
    guard let place = places[name] else { return }
    let tensor = try place.weights.value(place.name)
    if type == .bf16 {
      try ArrayData.bfloats(tensor.values, shape: tensor.shape).bytes.withUnsafeBytes(write)
    } else {
      try tensor.withValues { try write(UnsafeRawBufferPointer($0)) }
    }
    tensor.releasePages()
  }
}
