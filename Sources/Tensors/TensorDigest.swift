public import Base

/// A digest of tensors: SHA-256 over (name, shape, values as float32) in order of names, so that
/// neither the file nor the stored type changes it.
public func digest(of tensors: [(name: String, tensor: Tensor)]) -> SHA256Digest {
  var hasher = SHA256Hasher()
  for (name, tensor) in tensors.sorted(by: { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) })
  {
    hasher.update("\(name)\0\(tensor.shape.map(String.init).joined(separator: ","))\0")
    tensor.withValues { hasher.update(UnsafeRawBufferPointer($0)) }
  }
  return hasher.finish()
}
