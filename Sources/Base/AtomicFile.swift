import Glibc

/// An output file that has its name only when it is whole: written under a temporary name beside
/// it, then synchronised and renamed. An existing file is replaced.
public final class AtomicFile: @unchecked Sendable {
  /// The final name.
  public let path: String
  /// The name while it is being written.
  public let temporaryPath: String
  /// The open descriptor, for writing.
  public private(set) var descriptor: Int32
  private var finished = false

  /// Creates the temporary file.
  ///
  /// - Throws: `cannotCreate` when the directory does not allow it.
  public init(path: String) throws {
    self.path = path
    let cut = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
    temporaryPath = "\(path[..<cut]).\(path[cut...]).tmp-\(getpid())"
    descriptor = open(temporaryPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      throw Failure.systemCall("create", path, writing: true, code: errno)
    }
    TemporaryFiles.add(temporaryPath)
  }

  /// Writes bytes at the end.
  public func write(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { try write($0) }
  }

  /// Writes bytes at the end.
  public func write(_ bytes: UnsafeRawBufferPointer) throws {
    try writeAll(bytes, to: descriptor, path: path)
  }

  /// Synchronises the file and gives it its name.
  public func commit() throws {
    precondition(!finished, "a file is finished once")
    guard fsync(descriptor) == 0 || errno == EINVAL || errno == EROFS else {
      throw Failure.systemCall("write", path, writing: true, code: errno)
    }
    let code = close(descriptor) == 0 ? 0 : errno
    descriptor = -1
    guard code == 0 else { throw Failure.systemCall("close", path, writing: true, code: code) }
    guard rename(temporaryPath, path) == 0 else {
      throw Failure.systemCall("rename", path, writing: true, code: errno)
    }
    finished = true
    TemporaryFiles.remove(temporaryPath)
  }

  /// Removes what was written; the final name is untouched.
  public func discard() {
    guard !finished else { return }
    finished = true
    if descriptor >= 0 { close(descriptor) }
    descriptor = -1
    unlink(temporaryPath)
    TemporaryFiles.remove(temporaryPath)
  }

  deinit { discard() }

  /// Writes a whole small file.
  public static func write(_ bytes: [UInt8], to path: String) throws {
    let file = try AtomicFile(path: path)
    try file.write(bytes)
    try file.commit()
  }

  /// Writes a whole small text file.
  public static func write(_ text: String, to path: String) throws {
    try write(Array(text.utf8), to: path)
  }
}

/// Writes all bytes to a descriptor, however often the system takes only some.
///
/// - Throws: `inputOutput`, or `brokenPipe` when the reader has gone.
public func writeAll(
  _ bytes: UnsafeRawBufferPointer, to descriptor: Int32, path: String
) throws {
  var rest = bytes[...]
  while let base = rest.baseAddressOfRest {
    let count = write(descriptor, base, rest.count)
    if count < 0 {
      if errno == EINTR { continue }
      if errno == EPIPE { throw BrokenPipe() }
      throw Failure.systemCall("write", path, writing: true, code: errno)
    }
    rest = rest.dropFirst(count)
  }
}

extension Slice<UnsafeRawBufferPointer> {
  fileprivate var baseAddressOfRest: UnsafeRawPointer? {
    isEmpty ? nil : UnsafeRawBufferPointer(rebasing: self).baseAddress
  }
}

/// The reader of our output has gone (`| head`): not a failure, the tool ends quietly.
public struct BrokenPipe: Error, Sendable {
  /// The only value.
  public init() {}
}

/// The temporary files of this process, so that a signal can remove them.
public enum TemporaryFiles {
  private static let paths = Locked<Set<String>>([])

  /// Remembers a file.
  public static func add(_ path: String) { paths.withLock { _ = $0.insert(path) } }

  /// Forgets a file.
  public static func remove(_ path: String) { paths.withLock { _ = $0.remove(path) } }

  /// Deletes all remembered files.
  public static func deleteAll() {
    paths.withLock { set in
      for path in set { unlink(path) }
      set.removeAll()
    }
  }
}
