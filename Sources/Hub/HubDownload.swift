import Base
internal import Crypto
import Glibc

/// Fetches one content into the cache: resumed where an earlier try ended, checked, and named only
/// when it is whole.
struct HubDownload {
  let name: HubPath
  let facts: HubFileFacts
  let settings: HubSettings
  let monitor: RunMonitor

  /// - Parameter path: the file's final name. What has come stands beside it under
  ///   `PATH.incomplete`, which a killed process leaves for the next.
  func run(_ server: HubServer, to path: String) throws {
    let part = path + ".incomplete"
    // What is wrong may have been so since an earlier run: such a part is fetched anew, once.
    for isLast in [false, true] {
      let descriptor = open(part, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
      guard descriptor >= 0 else {
        throw Failure.systemCall("create", part, writing: true, code: errno)
      }
      defer { close(descriptor) }
      let file = try PartFile(descriptor, path: part, download: self)
      let isResumed = file.size > 0
      do {
        try fill(file, server)
        try ContentCheck(facts).check(file, monitor)
        try finish(file, as: path)
        return
      } catch let mismatch as ContentCheck.Mismatch {
        unlink(part)
        guard isResumed, !isLast else { throw Failure.wrongContent(name, mismatch.problem) }
      }
    }
  }

  /// Fetches until the file has its size.
  private func fill(_ file: PartFile, _ server: HubServer) throws {
    try requireSpace(file)
    var retries = Retries(settings, monitor)
    // How far it ever got: a server that starts again and again brings nothing new.
    var furthest = file.size
    while file.size < facts.size {
      do {
        try server.fetch(name, commit: facts.commit, from: file.size, to: file)
        guard file.size < facts.size else { break }
        throw TransferFault(
          problem: "the server ended after \(file.size) of \(facts.size) bytes")
      } catch let fault as TransferFault {
        if file.size - furthest >= Retries.progress {
          retries.reset()
          furthest = file.size
        }
        guard try retries.next(after: fault, of: name) else {
          throw Failure.unreachable(name, fault.problem, kept: file.size > 0)
        }
      } catch let failure as Failure where failure.kind == .inputOutput {
        unlink(file.path)
        throw failure
      }
    }
  }

  private func requireSpace(_ file: PartFile) throws {
    var status = statvfs()
    guard fstatvfs(file.descriptor, &status) == 0 else { return }
    let free = Int64(clamping: UInt64(status.f_bavail) * UInt64(status.f_frsize))
    let needs = facts.size - file.size
    guard needs <= free else {
      if file.size == 0 { unlink(file.path) }
      throw Failure.diskFull(name, needs: needs, free: free, in: settings.cache)
    }
  }

  private func finish(_ file: PartFile, as path: String) throws {
    guard fsync(file.descriptor) == 0, rename(file.path, path) == 0 else {
      throw Failure.systemCall("rename", path, writing: true, code: errno)
    }
  }
}

/// Counts tries that bring nothing.
struct Retries {
  /// Bytes after which a try counts as a success.
  static let progress: Int64 = 1 << 20

  private let settings: HubSettings
  private let monitor: RunMonitor
  private var failures = 0

  init(_ settings: HubSettings, _ monitor: RunMonitor) {
    self.settings = settings
    self.monitor = monitor
  }

  mutating func reset() { failures = 0 }

  /// Waits before the next try.
  ///
  /// - Returns: false when there is to be none.
  mutating func next(after fault: TransferFault, of name: HubPath) throws -> Bool {
    failures += 1
    guard failures < settings.tries else { return false }
    let wait = settings.firstWait * (1 << (failures - 1))
    monitor.progress("\(name): \(fault.problem); next try in \(wait)")
    try pause(wait, monitor)
    return true
  }
}

/// A file that grows with what arrives.
final class PartFile: HTTPReceiver {
  let descriptor: Int32
  let path: String
  private(set) var size: Int64
  private let download: HubDownload
  private let start = ContinuousClock.now
  private let startSize: Int64
  private var lastProgress = ContinuousClock.now

  init(_ descriptor: Int32, path: String, download: HubDownload) throws {
    self.descriptor = descriptor
    self.path = path
    self.download = download
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw Failure.systemCall("read", path, code: errno)
    }
    size = Int64(status.st_size)
    startSize = size
    // More than the whole file cannot be a part of it.
    if size > download.facts.size { try cut(to: 0) }
  }

  private func cut(to length: Int64) throws {
    guard ftruncate(descriptor, off_t(length)) == 0 else {
      throw Failure.systemCall("write", path, writing: true, code: errno)
    }
    size = length
  }

  func begin(_ response: HTTPResponse) throws {
    switch response.status {
    // The whole file, asked for or not.
    case 200: try cut(to: 0)
    case 206:
      guard response["content-range"]?.hasPrefix("bytes \(size)-") == true else {
        try cut(to: 0)
        throw TransferFault(problem: "the server sends another part than it was asked for")
      }
    default:
      try cut(to: 0)
      throw TransferFault(problem: "the server cannot continue (\(response.status))")
    }
    guard lseek(descriptor, off_t(size), SEEK_SET) == off_t(size) else {
      throw Failure.systemCall("write", path, writing: true, code: errno)
    }
  }

  func receive(_ bytes: UnsafeRawBufferPointer) throws {
    guard Int64(bytes.count) <= download.facts.size - size else {
      throw ContentCheck.Mismatch(
        problem: "the server sends more than the \(download.facts.size) bytes that it announced")
    }
    try writeAll(bytes, to: descriptor, path: path)
    size += Int64(bytes.count)
    let now = ContinuousClock.now
    guard now - lastProgress > .milliseconds(200) else { return }
    lastProgress = now
    let speed = Double(max(0, size - startSize)) / ((now - start) / .seconds(1))
    download.monitor.progress(
      "\(download.name): \(megabytes(size)) of \(megabytes(download.facts.size)), "
        + "\(megabytes(Int64(speed)))/s")
  }
}

/// Compares a file with what the server called it: a large file by its SHA-256; a small one by its
/// name in Git, or, as some mirrors have it, by its SHA-1.
struct ContentCheck {
  /// It is something else.
  struct Mismatch: Error {
    var problem: String
  }

  private let facts: HubFileFacts

  init(_ facts: HubFileFacts) { self.facts = facts }

  func check(_ file: PartFile, _ monitor: RunMonitor) throws {
    guard let expected = [UInt8](hexadecimal: facts.etag.lowercased()) else { return }
    let isRight: Bool
    switch expected.count {
    case 32:
      var hasher = SHA256Hasher()
      try read(file, monitor) { hasher.update($0) }
      isRight = hasher.finish().bytes == expected
    case 20:
      var (git, plain) = (Insecure.SHA1(), Insecure.SHA1())
      git.update(data: Array("blob \(facts.size)\0".utf8))
      try read(file, monitor) {
        git.update(bufferPointer: $0)
        plain.update(bufferPointer: $0)
      }
      isRight = [Array(git.finalize()), Array(plain.finalize())].contains(expected)
    default: return
    }
    guard isRight else {
      throw Mismatch(problem: "what came is not the file that the server announced")
    }
  }

  private func read(
    _ file: PartFile, _ monitor: RunMonitor, _ body: (UnsafeRawBufferPointer) -> Void
  ) throws {
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    var offset: off_t = 0
    while true {
      try monitor.check()
      let count = pread(file.descriptor, &buffer, buffer.count, offset)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw Failure.systemCall("read", file.path, code: errno) }
      guard count > 0 else { return }
      buffer.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
      offset += off_t(count)
    }
  }
}
