public import Base

/// A digest of tensors: SHA-256 over (name, shape, values as float32) in order of names, so that
/// neither the file nor the stored type changes it.
public func digest(of tensors: [(name: String, tensor: Tensor)]) -> SHA256Digest {
  var hasher = TensorHasher()
  for (name, tensor) in tensors.sorted(by: { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) })
  {
    tensor.withValues { hasher.update(name, tensor.shape, UnsafeRawBufferPointer($0)) }
  }
  return hasher.finish()
}

/// Makes a digest of tensors that are never in memory together.
public struct TensorHasher {
  private var hasher = SHA256Hasher()

  /// Nothing hashed yet.
  public init() {}

  /// Adds a tensor: they come in order of the bytes of their names.
  ///
  /// - Parameter values: float32.
  public mutating func update(_ name: String, _ shape: [Int], _ values: UnsafeRawBufferPointer) {
    hasher.update("\(name)\0\(shape.map(String.init).joined(separator: ","))\0")
    hasher.update(values)
  }

  /// Adds what is computed with beside tensors, after them.
  public mutating func update(_ name: String, _ value: String) {
    hasher.update("\(name)=\(value)\0")
  }

  /// The digest of all that was added.
  public mutating func finish() -> SHA256Digest { hasher.finish() }
}
