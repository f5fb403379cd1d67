public import Tensors

/// Named tensors in the order of their names.
public struct ParameterSet: Sendable {
  /// The names, sorted by code points.
  public let names: [String]
  /// One tensor for each name.
  public internal(set) var values: [Tensor]

  /// The tensors of a dictionary.
  public init(_ tensors: [String: Tensor]) {
    names = tensors.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    values = names.compactMap { tensors[$0] }
  }

  /// The same in memory of their own, apart from the files that they were read from.
  public func loaded() -> ParameterSet {
    var result = self
    result.values = values.map { tensor in
      defer { tensor.releasePages() }
      return tensor.copied()
    }
    return result
  }

  /// The tensors by name.
  public var dictionary: [String: Tensor] {
    Dictionary(uniqueKeysWithValues: zip(names, values))
  }

  /// Where some of its names stand, which are in order too.
  func places(of some: [String]) -> [Int] {
    var place = -1
    return some.map { name in
      place += 1
      while names[place] != name { place += 1 }
      return place
    }
  }

  /// Zeros of the same names and shapes.
  public func zeros() -> ParameterSet {
    var result = self
    result.values = values.map { Tensor.zeros($0.shape) }
    return result
  }

  /// The number of values in all.
  public var count: Int { values.reduce(0) { $0 + $1.count } }

  /// Moves a running average towards other values: self = decay · self + (1 - decay) · other.
  public mutating func average(with other: ParameterSet, decay: Double) {
    for index in values.indices {
      values[index].average(with: other.values[index], decay: Float(decay))
    }
  }
}
