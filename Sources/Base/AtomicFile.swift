public import Glibc

/// An output file that has its name only when it is whole: written under a temporary name beside
/// it, then synchronised and renamed. An existing file is replaced; of a link, what it points at. A
/// device or a named pipe is written as it is.
public final class AtomicFile: @unchecked Sendable {
  /// The final name.
  public let path: String
  /// The name while it is being written.
  public let temporaryPath: String
  /// The open descriptor, for writing.
  public private(set) var descriptor: Int32
  private let isDirect: Bool
  private var finished = false

  /// Creates the temporary file.
  ///
  /// - Throws: `cannotCreate` when the directory does not allow it.
  public init(path given: String) throws {
    var status = stat()
    let exists = stat(given, &status) == 0
    if exists, ![S_IFREG, S_IFDIR].contains(status.st_mode & S_IFMT) {
      isDirect = true
      path = given
      temporaryPath = given
      descriptor = open(given, O_WRONLY | O_CLOEXEC)
      guard descriptor >= 0 else {
        throw Failure.systemCall("open", given, writing: true, code: errno)
      }
      return
    }
    guard !exists || status.st_mode & S_IFMT != S_IFDIR else {
      throw Failure.systemCall("write", given, writing: true, code: EISDIR)
    }
    isDirect = false
    path = exists ? Self.target(of: given) : given
    let path = path
    let cut = path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex
    temporaryPath = "\(path[..<cut]).\(path[cut...]).tmp-\(TemporaryFiles.newSuffix())"
    let created = TemporaryFiles.create(temporaryPath)
    descriptor = created.descriptor
    guard descriptor >= 0 else {
      throw Failure.systemCall("create", path, writing: true, code: created.code)
    }
  }

  private static func target(of path: String) -> String {
    var status = stat()
    guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFLNK,
      let real = realpath(path, nil)
    else { return path }
    defer { free(real) }
    return String(cString: real)
  }

  /// Writes bytes at the end.
  public func write(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { try write($0) }
  }

  /// Writes bytes at the end.
  public func write(_ bytes: UnsafeRawBufferPointer) throws {
    try writeAll(bytes, to: descriptor, path: path)
  }

  /// Synchronises and closes the file, which still waits for its name: for one of many files that
  /// get theirs together.
  public func seal() throws {
    guard descriptor >= 0 else { return }
    guard fsync(descriptor) == 0 || errno == EINVAL || errno == EROFS else {
      throw Failure.systemCall("write", path, writing: true, code: errno)
    }
    let code = close(descriptor) == 0 ? 0 : errno
    descriptor = -1
    guard code == 0 else { throw Failure.systemCall("close", path, writing: true, code: code) }
  }

  /// Synchronises the file and gives it its name.
  public func commit() throws {
    precondition(!finished, "a file is finished once")
    try seal()
    finished = true
    guard !isDirect else { return }
    guard rename(temporaryPath, path) == 0 else {
      let code = errno
      finished = false
      throw Failure.systemCall("rename", path, writing: true, code: code)
    }
    TemporaryFiles.remove(temporaryPath)
  }

  /// Removes what was written; the final name is untouched.
  public func discard() {
    guard !finished else { return }
    finished = true
    if descriptor >= 0 { close(descriptor) }
    descriptor = -1
    guard !isDirect else { return }
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
  /// nil once they are deleted, which the process does before it ends.
  private static let paths = Locked<Set<String>?>([])
  private static let counter = AtomicCounter()

  /// The end of a temporary name that no other thread and no other process uses.
  public static func newSuffix() -> String { "\(getpid())-\(counter.take())" }

  /// Creates a file and remembers it; none any more when the process is ending, in which other threads may
  /// still be at work.
  ///
  /// - Parameter access: `O_WRONLY` or `O_RDWR`.
  /// - Returns: its descriptor; negative when it could not be created, and why.
  public static func create(
    _ path: String, access: Int32 = O_WRONLY, mode: mode_t = 0o666
  ) -> (descriptor: Int32, code: Int32) {
    paths.withLock { paths in
      guard paths != nil else { return (-1, ECANCELED) }
      let descriptor = open(path, access | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
      guard descriptor >= 0 else { return (descriptor, errno) }
      paths?.insert(path)
      return (descriptor, 0)
    }
  }

  /// Remembers a file that was created otherwise.
  public static func add(_ path: String) {
    paths.withLock { paths in
      if paths == nil { unlink(path) } else { paths?.insert(path) }
    }
  }

  /// Forgets a file.
  public static func remove(_ path: String) { paths.withLock { _ = $0?.remove(path) } }

  /// Deletes all remembered files, for good.
  public static func deleteAll() {
    paths.withLock { paths in
      for path in paths ?? [] { unlink(path) }
      paths = nil
    }
  }
}
