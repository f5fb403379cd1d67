import Base
import NeuralNetworks
import Safetensors
import Tensors
import TestSupport
import Testing

/// A part of what the package computed (`Tests/Parity/resemble_enhance.py`).
struct SignalFixture {
  let cases: SafetensorsFile
  let facts: JSON

  init(_ part: String) throws {
    cases = try SafetensorsFile(path: fixture("ResembleEnhance/\(part)/cases.safetensors"))
    facts = try JSON.parse(readFile(fixture("ResembleEnhance/\(part)/cases.json")))
  }

  func tensor(_ name: String) throws -> Tensor { try Tensor(file: cases, name: name) }
  func floats(_ name: String) throws -> [Float] { try cases.floats(name) }

  func integers(_ name: String) throws -> [Int] {
    try cases.array(name).int64s().map { Int($0) }
  }

  /// Samples as the only row of a batch.
  func row(_ name: String) throws -> Tensor {
    let samples = try floats(name)
    return Tensor(samples, shape: [1, samples.count])
  }

  /// Torch's `[channels, frames]` as our `[frames, channels]`.
  func frames(_ name: String) throws -> [Float] {
    let x = try tensor(name)
    return transposed(x.values, rows: x.shape[0])
  }
}

/// A matrix of so many rows with its rows as columns.
func transposed(_ values: [Float], rows: Int) -> [Float] {
  let columns = values.count / max(1, rows)
  return (0..<values.count).map { values[$0 % rows * columns + $0 / rows] }
}

/// `uniform` of `Tests/Parity/resemble_model.py`: numbers in [-1, 1) that are too many to be kept.
func uniform(_ name: String, seed: UInt64, count: Int) -> [Float] {
  var state = name.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) {
    ($0 ^ UInt64($1)) &* 0x100_0000_01b3
  }
  state &+= seed
  return (0..<count).map { _ in
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    z ^= z >> 31
    return Float(z >> 40) * 0x1p-23 - 1
  }
}
