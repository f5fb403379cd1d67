public import Base
import Glibc
import Records

/// A command line of the user's, run by the shell for one set of files at a time; what it prints is its
/// answer.
///
/// Each `{}` in it stands for a file, in order; without any the files are its last arguments. It reads
/// nothing, runs in a process group of its own, and does not outlive its time or the run.
public struct ExternalCommand: Sendable {
  /// The option that it was given with, for messages.
  public let option: String
  /// What was typed.
  public let text: String
  private let script: String
  private let timeout: Double

  /// Bytes of an answer at most.
  private static let longestAnswer = 1 << 16
  /// Bytes of its messages that are kept: the last ones.
  private static let keptMessages = 4096

  private struct Children: Sendable {
    var running: Set<pid_t> = []
    var isOver = false
  }
  /// Held while pipes are made and a process starts, so that no other process gets their ends.
  private static let children = Locked(Children())

  /// Ends all commands: the process is about to exit.
  static func endAll() {
    children.withLock { children in
      children.isOver = true
      for child in children.running { kill(-child, SIGKILL) }
    }
  }

  /// A command.
  ///
  /// - Parameters:
  ///   - files: how many it is given.
  ///   - timeout: seconds that it may take.
  /// - Throws: `usage` when it is blank, or has some `{}` but not one for each file.
  public init(_ text: String, option: String, files: Int, timeout: Double) throws {
    self.option = option
    self.text = text
    self.timeout = timeout
    let pieces = text.split(separator: "{}", omittingEmptySubsequences: false)
    guard !text.allSatisfy(\.isWhitespace), pieces.count == 1 || pieces.count == files + 1 else {
      throw Failure(
        .usage, subject: option, problem: "'\(text)' is no command for \(files) files",
        remedy: "give a command line, with one {} for each file or with none")
    }
    let names = (1...files).map { "\"$\($0)\"" }
    script =
      pieces.count == 1
      ? "\(text) \(names.joined(separator: " "))"
      : pieces[0] + zip(names, pieces.dropFirst()).map { $0 + $1 }.joined()
  }

  /// Runs the command.
  ///
  /// - Returns: what it printed, which is something.
  /// - Throws: `unavailable` when it cannot be run, fails, prints nothing or too much, or takes too long;
  ///   `interrupted` after a signal.
  public func answer(for files: [String]) throws -> String {
    let child = try start(files)
    let deadline = Clock.seconds() + timeout
    var answer: [UInt8] = []
    var messages: [UInt8] = []
    defer {
      close(child.output)
      close(child.errors)
    }
    do {
      var open = [child.output, child.errors]
      while !open.isEmpty {
        let ready = try Interruption.waitToRead(open, until: deadline)
        guard !ready.isEmpty else { throw tookTooLong }
        for descriptor in ready {
          let piece = Self.read(descriptor)
          if piece.isEmpty { open.removeAll { $0 == descriptor } }
          if descriptor == child.output {
            answer += piece
          } else {
            messages = Array((messages + piece).suffix(Self.keptMessages))
          }
        }
        guard answer.count <= Self.longestAnswer else {
          throw failed("printed more than \(Self.longestAnswer >> 10) KiB", messages)
        }
      }
      try waitForEnd(of: child.identifier, until: deadline)
    } catch {
      _ = Self.end(child.identifier)
      throw error
    }
    let status = Self.end(child.identifier)
    guard status == 0 else {
      let signal = status & 0x7F
      throw failed(
        signal == 0 ? "ended with exit code \(status >> 8 & 0xFF)" : "ended by signal \(signal)",
        messages)
    }
    guard !answer.isEmpty else { throw failed("printed nothing", messages) }
    return String(decoding: answer, as: UTF8.self)
  }

  /// The failure of an answer that cannot be used.
  public func unusable(_ answer: String, wanted: String) -> Failure {
    failed("printed '\(answer.prefix(80))', which is not \(wanted)", [])
  }

  private func failed(_ what: String, _ messages: [UInt8]) -> Failure {
    let lines = String(decoding: messages, as: UTF8.self).split(whereSeparator: \.isNewline)
    let last = lines.last { !$0.allSatisfy(\.isWhitespace) }
    return Failure(
      .unavailable, subject: option,
      problem: "'\(text)' \(what)" + (last.map { ": \($0.prefix(200))" } ?? ""),
      remedy: "run it by hand on a recording")
  }

  private var tookTooLong: Failure {
    Failure(
      .unavailable, subject: option,
      problem: "'\(text)' did not end within \(Record.text(of: timeout)) s",
      remedy: "allow more with --timeout, or see what it waits for")
  }

  // MARK: The process

  private typealias Child = (identifier: pid_t, output: Int32, errors: Int32)

  private func start(_ files: [String]) throws -> Child {
    try Self.children.withLock { children in
      guard !children.isOver else { throw Failure.interrupted }
      var output: [Int32] = [-1, -1]
      var errors: [Int32] = [-1, -1]
      guard pipe(&output) == 0 else { throw Failure.systemCall("open", "a pipe", code: errno) }
      guard pipe(&errors) == 0 else {
        let code = errno
        for end in output { close(end) }
        throw Failure.systemCall("open", "a pipe", code: code)
      }
      for end in output + errors { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
      defer {
        close(output[1])
        close(errors[1])
      }
      var actions = posix_spawn_file_actions_t()
      posix_spawn_file_actions_init(&actions)
      defer { posix_spawn_file_actions_destroy(&actions) }
      posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
      posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO)
      posix_spawn_file_actions_adddup2(&actions, errors[1], STDERR_FILENO)
      var attributes = posix_spawnattr_t()
      posix_spawnattr_init(&attributes)
      defer { posix_spawnattr_destroy(&attributes) }
      // Signals that we ignore it would ignore too.
      var all = sigset_t()
      sigfillset(&all)
      posix_spawnattr_setsigdefault(&attributes, &all)
      posix_spawnattr_setpgroup(&attributes, 0)
      posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))
      var arguments = (["sh", "-c", script, "sh"] + files).map { strdup($0) } + [nil]
      defer { for argument in arguments { free(argument) } }
      var child: pid_t = 0
      let code = posix_spawn(&child, "/bin/sh", &actions, &attributes, &arguments, environ)
      guard code == 0 else {
        close(output[0])
        close(errors[0])
        throw Failure.systemCall("run", "/bin/sh", code: code)
      }
      children.running.insert(child)
      return (child, output[0], errors[0])
    }
  }

  private static func read(_ descriptor: Int32) -> [UInt8] {
    var piece = [UInt8](repeating: 0, count: 1 << 12)
    while true {
      let count = Glibc.read(descriptor, &piece, piece.count)
      if count < 0, errno == EINTR { continue }
      return Array(piece.prefix(max(0, count)))
    }
  }

  /// Waits until a process that has closed its output has ended.
  private func waitForEnd(of child: pid_t, until deadline: Double) throws {
    var pause: UInt32 = 100
    while true {
      var information = siginfo_t()
      let code = waitid(P_PID, id_t(child), &information, WEXITED | WNOHANG | WNOWAIT)
      guard code == 0, information.si_signo == 0 else { return }
      try Interruption.check()
      guard Clock.seconds() < deadline else { throw tookTooLong }
      usleep(pause)
      pause = min(2 * pause, 20_000)
    }
  }

  /// Ends a process and all that it started, and gives its status. It is reaped last: until then its
  /// number is nobody else's.
  private static func end(_ child: pid_t) -> Int32 {
    kill(-child, SIGKILL)
    children.withLock { _ = $0.running.remove(child) }
    var status: Int32 = 0
    while waitpid(child, &status, 0) < 0, errno == EINTR {}
    return status
  }
}
