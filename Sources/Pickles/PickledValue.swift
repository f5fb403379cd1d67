public import Safetensors

/// What a PyTorch file holds: plain values and tensors, as Python wrote them.
public enum PickledValue: Sendable, Equatable {
  /// `None`.
  case none
  /// `True` or `False`.
  case bool(Bool)
  /// A whole number that fits 64 bits.
  case integer(Int64)
  /// A float.
  case number(Double)
  /// A text.
  case string(String)
  /// A `bytes` object.
  case bytes([UInt8])
  /// A list.
  case list([PickledValue])
  /// A tuple, or a `torch.Size`.
  case tuple([PickledValue])
  /// A set, in the order of the file.
  case set([PickledValue])
  /// A `dict` or `OrderedDict`, in its order; no key appears twice.
  case dictionary([PickledMember])
  /// A tensor, or the tensor of a parameter.
  case tensor(PickledTensor)

  /// The value of a dictionary under a text; nil where there is none.
  public subscript(key: String) -> PickledValue? {
    members?.first { $0.key == .string(key) }?.value
  }

  /// The members, if this is a dictionary.
  public var members: [PickledMember]? {
    guard case .dictionary(let members) = self else { return nil }
    return members
  }

  /// The whole number, if this is one.
  public var integer: Int64? {
    guard case .integer(let value) = self else { return nil }
    return value
  }

  /// The tensors by name, if this is a dictionary of tensors under texts and of nothing else.
  public var tensors: [String: PickledTensor]? {
    guard let members else { return nil }
    var tensors: [String: PickledTensor] = [:]
    for member in members {
      guard case .string(let name) = member.key, case .tensor(let tensor) = member.value else {
        return nil
      }
      tensors[name] = tensor
    }
    return tensors
  }

  /// A dictionary under texts, in this order.
  public init(_ members: KeyValuePairs<String, PickledValue>) {
    self = .dictionary(members.map { PickledMember(.string($0.key), $0.value) })
  }

  /// A dictionary of tensors, in the order of their names.
  public init(_ tensors: [String: PickledTensor]) {
    let sorted = tensors.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    self = .dictionary(sorted.map { PickledMember(.string($0.key), .tensor($0.value)) })
  }
}

/// The key of a dictionary.
public enum PickledKey: Sendable, Hashable {
  /// A text.
  case string(String)
  /// A whole number.
  case integer(Int64)
}

/// A key and its value.
public struct PickledMember: Sendable, Equatable {
  /// The key.
  public var key: PickledKey
  /// What stands under it.
  public var value: PickledValue

  /// A member of a dictionary.
  public init(_ key: PickledKey, _ value: PickledValue) {
    self.key = key
    self.value = value
  }
}

/// Elements of one type in a row, which any number of tensors may look into.
public struct PickledStorage: Sendable, Hashable {
  /// Its name within the file, or what its writer calls it.
  public var key: String
  /// The elements' type.
  public var type: ElementType
  /// The number of elements.
  public var count: Int

  /// A storage.
  public init(key: String, type: ElementType, count: Int) {
    self.key = key
    self.type = type
    self.count = count
  }
}

/// A tensor: a view into a storage.
public struct PickledTensor: Sendable, Hashable {
  /// Where its elements are.
  public let storage: PickledStorage
  /// The element that it begins with.
  public let offset: Int
  /// The dimensions, slowest first; empty for a single element.
  public let shape: [Int]
  /// Elements from one index to the next, for each dimension.
  public let strides: [Int]
  /// The number of elements.
  public let count: Int

  /// A view; nil unless all its elements are within the storage.
  public init?(_ storage: PickledStorage, offset: Int, shape: [Int], strides: [Int]) {
    guard offset >= 0, shape.count == strides.count, strides.allSatisfy({ $0 >= 0 }),
      let bytes = storage.type.byteCount(shape: shape)
    else { return nil }
    self.storage = storage
    self.offset = offset
    self.shape = shape
    self.strides = strides
    count = bytes / storage.type.size
    var last = offset
    guard count > 0 else {
      if offset > storage.count { return nil }
      return
    }
    for (dimension, stride) in zip(shape, strides) {
      let (reach, tooFar) = (dimension - 1).multipliedReportingOverflow(by: stride)
      let (sum, tooLarge) = last.addingReportingOverflow(reach)
      guard !tooFar, !tooLarge else { return nil }
      last = sum
    }
    guard last < storage.count else { return nil }
  }

  /// A tensor that has a storage to itself, row by row; nil when there is no such shape.
  ///
  /// - Parameter key: what its storage is called.
  public init?(key: String, type: ElementType, shape: [Int]) {
    guard let bytes = type.byteCount(shape: shape) else { return nil }
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in shape.indices.dropLast().reversed() {
      strides[axis] = max(1, shape[axis + 1]) * strides[axis + 1]
    }
    self.init(
      PickledStorage(key: key, type: type, count: bytes / type.size), offset: 0, shape: shape,
      strides: strides)
  }

  /// Whether the elements stand row by row, without gaps.
  public var isContiguous: Bool {
    var expected = 1
    for (dimension, stride) in zip(shape, strides).reversed() where dimension != 1 {
      if stride != expected, count > 0 { return false }
      expected *= dimension
    }
    return true
  }
}
