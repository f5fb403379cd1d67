import Glibc

/// A regular file's bytes in memory for as long as this lives, read only.
public final class FileMapping: @unchecked Sendable {
  /// The bytes; valid while the mapping is.
  public let bytes: UnsafeRawBufferPointer

  /// Maps a whole file.
  public init(path: String) throws(Failure) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .systemCall("open", path, code: errno) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .systemCall("read", path, code: errno) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw Failure(
        .noInput, subject: path, problem: "not a regular file", remedy: "check the path")
    }
    guard status.st_size > 0 else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    let address = mmap(nil, Int(status.st_size), PROT_READ, MAP_PRIVATE, descriptor, 0)
    guard let address, address != MAP_FAILED else {
      throw .systemCall("map", path, code: errno)
    }
    bytes = UnsafeRawBufferPointer(start: address, count: Int(status.st_size))
  }

  deinit {
    if let address = bytes.baseAddress {
      munmap(UnsafeMutableRawPointer(mutating: address), bytes.count)
    }
  }
}
