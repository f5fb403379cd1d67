import Base
import Foundation
import NeuralNetworks
import Safetensors
import Tensors
import TestSupport

@testable import ResembleEnhance

/// What the package made of something: a folder of `Tests/Fixtures/ResembleEnhance`.
struct Cases {
  let file: SafetensorsFile
  let json: JSON

  init(_ part: String) throws {
    file = try SafetensorsFile(path: fixture("ResembleEnhance/\(part)/cases.safetensors"))
    let path = fixture("ResembleEnhance/\(part)/cases.json")
    json = try JSON.parse([UInt8](Data(contentsOf: URL(fileURLWithPath: path))))
  }

  /// A tensor as it is stored.
  func tensor(_ name: String) throws -> Tensor { try Tensor(file: file, name: name) }

  /// `[channels, steps]` or `[batch, channels, steps]` as `[batch, steps, channels]`.
  func steps(_ name: String) throws -> Tensor {
    let x = try tensor(name)
    return x.shape.count == 2
      ? x.transposed().reshaped([1, x.shape[1], x.shape[0]]) : x.permuted([0, 2, 1])
  }

  /// `[channels, height, width]` as `[1, height, width, channels]`.
  func image(_ name: String) throws -> Tensor {
    let x = try tensor(name)
    return x.permuted([1, 2, 0]).reshaped([1, x.shape[1], x.shape[2], x.shape[0]])
  }
}

/// The small model that all parts but the discriminator were recorded with.
enum SmallModel {
  static func shapes() throws -> [String: [Int]] {
    let file = try SafetensorsFile(path: fixture("ResembleEnhance/model/model.safetensors"))
    return Dictionary(uniqueKeysWithValues: file.names.map { ($0, file.shape(of: $0) ?? []) })
  }

  /// - Parameter packing: nil for tensors as training has them.
  static func weights(packing: WeightFormat? = .float32) throws -> Weights {
    let file = try SafetensorsFile(path: fixture("ResembleEnhance/model/model.safetensors"))
    var tensors: [String: Tensor] = [:]
    for name in file.names { tensors[name] = try Tensor(file: file, name: name) }
    return Weights(tensors, subject: file.path, packing: packing)
  }

  static func sizes() throws -> EnhancerSizes { EnhancerSizes(try shapes()) }
}

/// The largest difference, relative to the largest expected value.
func difference(_ actual: Tensor, _ expected: Tensor) -> Float {
  guard actual.count == expected.count else { return .infinity }
  let most = expected.values.lazy.map(abs).max() ?? 0
  let apart = zip(actual.values, expected.values).lazy.map { abs($0 - $1) }.max() ?? 0
  return apart.isNaN ? .infinity : apart / max(most, .leastNormalMagnitude)
}
