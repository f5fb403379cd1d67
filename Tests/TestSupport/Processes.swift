import Base
import Foundation
import Glibc

/// How a process ended, and what it wrote.
public struct ProcessResult: Sendable {
  /// The exit code; 128 + n after signal n, as a shell has it.
  public var code: Int32
  /// What it wrote to standard output.
  public var output: [UInt8]
  /// What it wrote to standard error.
  public var errors: String
  /// Whether it had to be killed because its time was over.
  public var timedOut: Bool

  /// Standard output as text.
  public var text: String { String(decoding: output, as: UTF8.self) }
}

/// A process that was started. Its pipes are drained while it runs, so that it never waits for us.
public final class RunningProcess: Sendable {
  /// The id, which is also that of its process group.
  public let identifier: Int32
  private let ended = DispatchSemaphore(value: 0)
  private let output = Locked<[UInt8]>([])
  private let errors = Locked<[UInt8]>([])
  private let drains = DispatchGroup()
  private let closeInput = DispatchSemaphore(value: 0)
  private let timedOut = Locked(false)

  /// Starts a program in a process group of its own, with default signal handling.
  ///
  /// - Parameters:
  ///   - input: what it reads; nil is an empty input.
  ///   - keepsInputOpen: whether it waits for more after `input`, as behind a slow upstream.
  ///   - environment: added to ours.
  ///   - timeLimit: seconds until it is killed.
  public init(
    _ program: String, _ arguments: [String], input: [UInt8]? = nil, keepsInputOpen: Bool = false,
    environment: [String: String] = [:], directory: String? = nil, timeLimit: Double = 120
  ) throws {
    let inputPipe = try input.map { _ in try makePipe() }
    let outputPipe = try makePipe()
    let errorPipe = try makePipe()

    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let inputPipe {
      posix_spawn_file_actions_adddup2(&actions, inputPipe.reading, STDIN_FILENO)
    } else {
      posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    }
    posix_spawn_file_actions_adddup2(&actions, outputPipe.writing, STDOUT_FILENO)
    posix_spawn_file_actions_adddup2(&actions, errorPipe.writing, STDERR_FILENO)

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    var all = sigset_t()
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
      &attributes,
      Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))

    let merged = ProcessInfo.processInfo.environment.merging(environment) { _, ours in ours }
    // env -C changes the folder and becomes the program.
    let command = directory.map { ["env", "-C", $0, program] } ?? [program]
    var argumentPointers = (command + arguments).map { strdup($0) } + [nil]
    var environmentPointers = merged.map { strdup("\($0)=\($1)") } + [nil]
    defer { for pointer in argumentPointers + environmentPointers { free(pointer) } }
    var child: pid_t = 0
    let code = posix_spawnp(
      &child, command[0], &actions, &attributes, &argumentPointers, &environmentPointers)
    close(outputPipe.writing)
    close(errorPipe.writing)
    if let inputPipe { close(inputPipe.reading) }
    guard code == 0 else {
      close(outputPipe.reading)
      close(errorPipe.reading)
      if let inputPipe { close(inputPipe.writing) }
      throw Failure.systemCall("run", program, code: code)
    }
    let identifier = child
    self.identifier = identifier
    drain(outputPipe.reading, into: output)
    drain(errorPipe.reading, into: errors)
    if let inputPipe, let input { feed(input, to: inputPipe.writing, open: keepsInputOpen) }
    Thread.detachNewThread { [ended, timedOut] in
      if ended.wait(timeout: .now() + timeLimit) == .timedOut {
        timedOut.withLock { $0 = true }
        kill(-identifier, SIGKILL)
      }
    }
  }

  private func drain(_ descriptor: Int32, into bytes: Locked<[UInt8]>) {
    drains.enter()
    Thread.detachNewThread { [drains] in
      var piece = [UInt8](repeating: 0, count: 1 << 16)
      while true {
        let count = read(descriptor, &piece, piece.count)
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { break }
        let part = piece[..<count]
        bytes.withLock { $0 += part }
      }
      close(descriptor)
      drains.leave()
    }
  }

  private func feed(_ input: [UInt8], to descriptor: Int32, open: Bool) {
    Thread.detachNewThread { [closeInput] in
      var set = sigset_t()
      sigemptyset(&set)
      sigaddset(&set, SIGPIPE)
      pthread_sigmask(SIG_BLOCK, &set, nil)
      input.withUnsafeBytes { try? writeAll($0, to: descriptor, path: "a pipe") }
      if open { closeInput.wait() }
      close(descriptor)
    }
  }

  /// Sends a signal to the process alone.
  public func signal(_ number: Int32) { kill(identifier, number) }

  /// Closes its standard input, which was kept open.
  public func closeStandardInput() { closeInput.signal() }

  /// What it wrote to standard output so far.
  public var outputSoFar: [UInt8] { output.withLock { $0 } }

  /// What it wrote to standard error so far.
  public var errorsSoFar: String {
    String(decoding: errors.withLock { $0 }, as: UTF8.self)
  }

  /// Waits until it has ended. Call it once.
  public func wait() -> ProcessResult {
    var status: Int32 = 0
    while waitpid(identifier, &status, 0) < 0, errno == EINTR {}
    // Children that outlived it would hold its pipes open.
    kill(-identifier, SIGKILL)
    ended.signal()
    closeInput.signal()
    drains.wait()
    let signal = status & 0x7F
    return ProcessResult(
      code: signal == 0 ? (status >> 8) & 0xFF : 128 + signal, output: outputSoFar,
      errors: errorsSoFar, timedOut: timedOut.withLock { $0 })
  }
}

private func makePipe() throws -> (reading: Int32, writing: Int32) {
  var ends: [Int32] = [-1, -1]
  guard pipe(&ends) == 0 else { throw Failure.systemCall("open", "a pipe", code: errno) }
  for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
  return (ends[0], ends[1])
}

/// The folder of the programs that were built with the tests; `TTS_BIN` names another.
public let toolFolder: String = {
  if let folder = ProcessInfo.processInfo.environment["TTS_BIN"] { return folder }
  let test = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
  return URL(fileURLWithPath: test).deletingLastPathComponent().path
}()

/// The path of a built tool.
public func toolPath(_ name: String) -> String { "\(toolFolder)/\(name)" }

/// Whether a tool was built.
public func isBuilt(_ tool: String) -> Bool { access(toolPath(tool), X_OK) == 0 }

/// Runs a built tool to its end.
public func runTool(
  _ tool: String, _ arguments: [String] = [], input: [UInt8]? = nil,
  environment: [String: String] = [:], directory: String? = nil, timeLimit: Double = 120
) throws -> ProcessResult {
  try RunningProcess(
    toolPath(tool), arguments, input: input, environment: environment, directory: directory,
    timeLimit: timeLimit
  ).wait()
}

/// Runs a built tool to its end, and tells the most memory that it took, in bytes. That stands in its
/// own report; the system would count the memory of the process that started it too.
public func runMeasured(
  _ tool: String, _ arguments: [String], input: [UInt8]? = nil, directory: String? = nil,
  timeLimit: Double = 120
) throws -> (result: ProcessResult, peakMemory: Int) {
  let folder = try ScratchFolder()
  let result = try runTool(
    tool, arguments + ["--report", folder.file("report.json")], input: input,
    directory: directory, timeLimit: timeLimit)
  let report = try JSON.parse(folder.read("report.json"))
  return (result, report["peak_memory_bytes"]?.integer ?? .max)
}

/// Runs a script under plain `sh` (without pipefail), with the built tools first in the path.
public func runShell(
  _ script: String, input: [UInt8]? = nil, environment: [String: String] = [:],
  directory: String? = nil, timeLimit: Double = 120
) throws -> ProcessResult {
  let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
  return try RunningProcess(
    "/bin/sh", ["-c", script], input: input,
    environment: environment.merging(["PATH": "\(toolFolder):\(path)"]) { ours, _ in ours },
    directory: directory, timeLimit: timeLimit
  ).wait()
}
