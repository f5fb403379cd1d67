import Base
import Glibc

/// The SHA-256 of a file's bytes.
func fileDigest(_ path: String) throws -> SHA256Digest {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw Failure.systemCall("open", path, code: errno) }
  defer { close(descriptor) }
  var hasher = SHA256Hasher()
  var buffer = [UInt8](repeating: 0, count: 1 << 18)
  while true {
    let count = buffer.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
    if count < 0 {
      if errno == EINTR { continue }
      throw Failure.systemCall("read", path, code: errno)
    }
    guard count > 0 else { return hasher.finish() }
    buffer.withUnsafeBytes { hasher.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
  }
}
