import Base
import Glibc

/// The cache as huggingface_hub lays it out: for each repository `blobs` by content, `refs` from
/// revision to commit, and `snapshots/COMMIT/PATH` as links into `blobs`.
struct HubCache: Sendable {
  /// The folder of all repositories.
  let folder: String

  private func folder(of name: HubPath) -> String {
    "\(folder)/\(repositoryName(name))"
  }

  private func repositoryName(_ name: HubPath) -> String {
    "models--\(name.owner)--\(name.repository)"
  }

  /// Where a file stands in a commit.
  func snapshot(_ name: HubPath, commit: String) -> String {
    "\(folder(of: name))/snapshots/\(commit)/\(name.path)"
  }

  /// Where a content is kept.
  func blob(_ name: HubPath, etag: String) -> String { "\(folder(of: name))/blobs/\(etag)" }

  /// The file of a name, as it was when its revision was last looked up; nil when it is not here.
  func file(_ name: HubPath) -> String? {
    guard let commit = name.commit ?? reference(name) else { return nil }
    let path = snapshot(name, commit: commit)
    return fileExists(path) ? path : nil
  }

  private func referencePath(_ name: HubPath) -> String {
    "\(folder(of: name))/refs/\(name.revision ?? "main")"
  }

  private func reference(_ name: HubPath) -> String? {
    guard let bytes = try? readFile(referencePath(name), limit: 1 << 10) else { return nil }
    let commit = String(decoding: bytes, as: UTF8.self)
    return HubPath.isCommit(commit) ? commit : nil
  }

  /// Notes which commit a branch or tag stands for.
  func setReference(_ name: HubPath, commit: String) throws {
    guard name.revision != commit, reference(name) != commit else { return }
    let path = referencePath(name)
    try createDirectory(parent(of: path))
    try AtomicFile.write(commit, to: path)
  }

  /// Lets a commit's file point at its content.
  func link(_ name: HubPath, commit: String, etag: String) throws -> String {
    let path = snapshot(name, commit: commit)
    try createDirectory(parent(of: path))
    // From the file's folder up to the repository's: `snapshots`, the commit, and the path's folders.
    let depth = name.path.split(separator: "/").count + 1
    let target = String(repeating: "../", count: depth) + "blobs/\(etag)"
    // A link is made beside and renamed, so that nobody finds none where there was one.
    let temporary = "\(path).tmp-\(TemporaryFiles.newSuffix())"
    unlink(temporary)
    guard symlink(target, temporary) == 0, rename(temporary, path) == 0 else {
      let code = errno
      unlink(temporary)
      throw Failure.systemCall("link", path, writing: true, code: code)
    }
    return path
  }

  /// Does something while no other process fetches the same content.
  func withLock<Result>(
    _ name: HubPath, etag: String, monitor: RunMonitor, _ body: () throws -> Result
  ) throws -> Result {
    let path = "\(folder)/.locks/\(repositoryName(name))/\(etag).lock"
    try createDirectory(parent(of: path))
    let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      throw Failure.systemCall("create", path, writing: true, code: errno)
    }
    defer { close(descriptor) }
    // Where the file system knows no locks, two downloads at once are found by what they wrote.
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0, errno == EWOULDBLOCK || errno == EINTR {
      monitor.progress("\(name): another process is fetching it")
      try pause(.milliseconds(100), monitor)
    }
    return try body()
  }

  private func parent(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
  }
}

/// Waits, but not past the end of the run.
func pause(_ duration: Duration, _ monitor: RunMonitor) throws {
  let end = ContinuousClock.now + duration
  while true {
    try monitor.check()
    let rest = end - .now
    guard rest > .zero else { return }
    let part = min(rest, .milliseconds(100))
    usleep(UInt32(part / .microseconds(1)))
  }
}
