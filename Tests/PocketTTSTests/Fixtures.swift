import Base
import NeuralNetworks
import Safetensors
import Tensors
import TestSupport
import Testing

@testable import PocketTTS

/// Recorded inputs and outputs of the official package for one small model
/// (`Tests/Parity/pocket_tts.py`).
struct ModelFixture: Sendable {
  let kind: String
  let model: PocketTTSModel
  let cases: SafetensorsFile
  let facts: JSON

  init(_ kind: String, tensors: String = "cases.safetensors", facts: String = "cases.json") throws {
    self.kind = kind
    model = try PocketTTSModel(path: fixture("PocketTTS/\(kind)"))
    cases = try SafetensorsFile(path: fixture("PocketTTS/\(kind)/\(tensors)"))
    self.facts = try JSON.parse(readFile(fixture("PocketTTS/\(kind)/\(facts)")))
  }

  func tensor(_ name: String) throws -> Tensor { try Tensor(file: cases, name: name) }
  func floats(_ name: String) throws -> [Float] { try cases.floats(name) }
  func integers(_ name: String) throws -> [Int] {
    try cases.array(name).int64s().map { Int($0) }
  }
}

/// Activations and audio agree within this share of their scale.
let activationTolerance = 1e-4
/// Gradients agree within this share of their scale.
let gradientTolerance = 1e-3

let inferenceKinds = ["lsd", "pointwise", "drifting", "flow_matching"]
