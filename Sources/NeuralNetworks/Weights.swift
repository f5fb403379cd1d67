import Base
public import Safetensors
public import Tensors

/// The tensors of a model by key path: `weights["flow_net"]["res_blocks"][0]`.
///
/// A layer asks for each tensor with the shape that it needs, where it needs it; what nobody asked
/// for is found by ``unused()``. The same value serves inference (tensors of a file) and training
/// (variables on a tape).
public struct Weights: Sendable {
  private let lookUp: @Sendable (_ key: String, _ shape: [Int]) throws -> Tensor?
  private let names: Set<String>
  /// How matrices are packed for inference; nil for training, where they stay tensors.
  public let packing: WeightFormat?
  /// Where packed matrices are kept between runs.
  public let store: PackedWeights?
  private let taken: Locked<Set<String>>
  /// What the tensors belong to, for messages: a file.
  public let subject: String
  /// The key path so far, ending in a dot, or empty.
  public let prefix: String

  /// Tensors in memory.
  ///
  /// - Parameters:
  ///   - packing: how matrices are packed for inference; nil for training.
  ///   - packed: the matrices that are packed already, of that format.
  public init(
    _ tensors: [String: Tensor], subject: String, packing: WeightFormat? = nil,
    packed: PackedWeights? = nil
  ) {
    self.init(
      names: Set(tensors.keys), packing: packing, store: packed, subject: subject,
      taken: Locked([]), prefix: "", lookUp: { key, _ in tensors[key] })
  }

  /// Tensors of a file, read when they are asked for.
  ///
  /// - Parameters:
  ///   - tensors: from the key of each to its name in the file.
  ///   - packed: the matrices that are packed already; nil for training.
  public init(_ tensors: [String: String], of file: SafetensorsFile, packed: PackedWeights?) {
    self.init(
      names: Set(tensors.keys), packing: packed?.format, store: packed, subject: file.path,
      taken: Locked([]), prefix: "",
      lookUp: { key, _ in try tensors[key].map { try Tensor(file: file, name: $0) } })
  }

  /// Tensors made when a layer asks for them: how a new model gets its start values from the same
  /// code that reads a file.
  public init(creating make: @escaping @Sendable (_ key: String, _ shape: [Int]) -> Tensor) {
    self.init(
      names: [], packing: nil, store: nil, subject: "new model", taken: Locked([]), prefix: "",
      lookUp: make)
  }

  private init(
    names: Set<String>, packing: WeightFormat?, store: PackedWeights?, subject: String,
    taken: Locked<Set<String>>, prefix: String,
    lookUp: @escaping @Sendable (String, [Int]) throws -> Tensor?
  ) {
    self.names = names
    self.packing = packing
    self.store = store
    self.subject = subject
    self.taken = taken
    self.prefix = prefix
    self.lookUp = lookUp
  }

  /// The tensors under a key.
  public subscript(key: String) -> Weights {
    Weights(
      names: names, packing: packing, store: store, subject: subject, taken: taken,
      prefix: prefix + key + ".", lookUp: lookUp)
  }

  /// The tensors under an index.
  public subscript(index: Int) -> Weights { self[String(index)] }

  /// The same weights for a layer whose rounding would cost more than its size saves: packed as
  /// float32 where the others are packed to less.
  public var inFloat32: Weights {
    Weights(
      names: names, packing: packing.map { _ in .float32 }, store: store, subject: subject,
      taken: taken, prefix: prefix, lookUp: lookUp)
  }

  /// Whether there is a tensor of this name here.
  public func contains(_ name: String) -> Bool { names.contains(prefix + name) }

  /// A tensor, with the shape that its user needs.
  ///
  /// - Throws: `configuration` when it is missing or has another shape.
  public func tensor(_ name: String, _ shape: [Int]) throws -> Tensor {
    let key = prefix + name
    guard let tensor = try lookUp(key, shape) else { throw Failure.missingTensor(key, in: subject) }
    guard tensor.shape == shape else {
      throw Failure.misshapenTensor(key, in: subject, expected: shape, found: tensor.shape)
    }
    taken.withLock { _ = $0.insert(key) }
    return tensor
  }

  /// A tensor of whatever shape; nil where there is none.
  func tensorOfAnyShape(_ name: String) throws -> Tensor? {
    guard contains(name) else { return nil }
    taken.withLock { _ = $0.insert(prefix + name) }
    return try lookUp(prefix + name, [])
  }

  /// The same weights with some changed; what was packed of them counts no more.
  public func changing(
    _ change: @escaping @Sendable (_ key: String, _ tensor: Tensor) throws -> Tensor
  ) -> Weights {
    let lookUp = lookUp
    return Weights(
      names: names, packing: packing, store: nil, subject: subject, taken: taken, prefix: prefix,
      lookUp: { key, shape in try lookUp(key, shape).map { try change(key, $0) } })
  }

  /// A matrix `[outputs, inputs]` packed, as float32 where nothing else is said.
  ///
  /// - Parameters:
  ///   - name: the tensor that it is made of.
  ///   - tensor: makes the matrix, where it is not kept packed.
  func packed(
    _ name: String, outputs: Int, inputs: Int, of tensor: () throws -> Tensor
  ) throws -> PackedMatrix {
    let key = prefix + name
    let format = packing ?? .float32
    guard let store else { return try PackedMatrix(packing: tensor(), format) }
    taken.withLock { _ = $0.insert(key) }
    return try store.matrix(key, outputs: outputs, inputs: inputs, format: format, of: tensor)
  }

  /// The names of the tensors under the prefix, without it, in order.
  public var keys: [String] {
    names.filter { $0.hasPrefix(prefix) }.sorted().map { String($0.dropFirst(prefix.count)) }
  }

  /// A tensor as it is, to write it or to compare it.
  ///
  /// - Throws: `configuration` when it is missing.
  public func value(_ name: String) throws -> Tensor {
    guard let tensor = try lookUp(prefix + name, []) else {
      throw Failure.missingTensor(prefix + name, in: subject)
    }
    return tensor
  }

  /// All tensors under the prefix, by their names without it, in order.
  public func all() throws -> [(name: String, tensor: Tensor)] {
    try keys.map { ($0, try value($0)) }
  }

  /// The tensors under the prefix that nobody asked for.
  public func unused() -> [String] {
    let taken = taken.withLock { $0 }
    return names.filter { $0.hasPrefix(prefix) && !taken.contains($0) }.sorted()
  }

  /// - Throws: `configuration` when a tensor under the prefix was never asked for.
  public func requireAllUsed() throws {
    let unused = unused()
    if let first = unused.first { throw Failure.unusedTensors(first, unused.count, in: subject) }
  }
}

extension Tensor {
  /// A tensor of a safetensors file: mapped in place when it is float32, converted otherwise.
  public init(file: SafetensorsFile, name: String) throws {
    guard let shape = file.shape(of: name), let type = file.type(of: name) else {
      throw Failure.missingTensor(name, in: file.path)
    }
    let mapped = try file.withBytes(name) { bytes -> Tensor? in
      guard type == .f32, let base = bytes.baseAddress,
        UInt(bitPattern: base).isMultiple(of: UInt(MemoryLayout<Float>.alignment))
      else { return nil }
      return Tensor(
        borrowing: base.assumingMemoryBound(to: Float.self), shape: shape, owner: file)
    }
    if let mapped {
      self = mapped
    } else {
      self.init(try file.floats(name), shape: shape)
    }
  }
}
