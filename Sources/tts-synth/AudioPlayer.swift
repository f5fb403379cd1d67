import Base
import Filters
import Glibc

/// A program that plays mono 16-bit samples from its standard input.
struct AudioPlayer {
  /// What is typed.
  let name: String
  /// Whether it wants a WAV header before the samples.
  let wantsHeader: Bool
  /// Its arguments at a sample rate.
  let arguments: @Sendable (_ rate: Int) -> [String]

  /// The players that are known, the one to be preferred first.
  static let known = [
    AudioPlayer(name: "pw-play", wantsHeader: true) { _ in ["-"] },
    AudioPlayer(name: "paplay", wantsHeader: false) {
      ["--raw", "--format=s16le", "--rate=\($0)", "--channels=1"]
    },
    AudioPlayer(name: "aplay", wantsHeader: false) {
      ["-q", "-t", "raw", "-f", "S16_LE", "-r", "\($0)", "-c", "1", "-"]
    },
    AudioPlayer(name: "ffplay", wantsHeader: true) { _ in
      ["-nodisp", "-autoexit", "-loglevel", "error", "-f", "wav", "-i", "-"]
    },
    AudioPlayer(name: "play", wantsHeader: false) {
      ["-q", "-t", "raw", "-e", "signed", "-b", "16", "-c", "1", "-r", "\($0)", "-"]
    },
  ]

  /// The first player on the search path.
  ///
  /// - Throws: `unavailable` when there is none.
  static func installed() throws -> AudioPlayer {
    let folders = (getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin").split(
      separator: ":")
    for player in known
    where folders.contains(where: { access("\($0)/\(player.name)", X_OK) == 0 }) {
      return player
    }
    throw Failure.noPlayer(known.map(\.name))
  }
}

/// A player that runs, and the pipe into it.
final class PlayerProcess {
  private let name: String
  /// Its process while it runs.
  private let child: Locked<pid_t?>
  private let pipeEnd: Int32

  /// Starts a player.
  init(_ player: AudioPlayer, rate: Int) throws {
    name = player.name
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { throw Failure.systemCall("open", "a pipe", code: errno) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO)
    // What it prints must not mix with ours on standard output.
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    // Signals that we ignore it would ignore too.
    var all = sigset_t()
    sigfillset(&all)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF))
    var arguments = ([name] + player.arguments(rate)).map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var child: pid_t = 0
    let code = posix_spawnp(&child, name, &actions, &attributes, &arguments, environ)
    close(ends[0])
    guard code == 0 else {
      close(ends[1])
      throw Failure.systemCall("run", name, code: code)
    }
    let running = Locked<pid_t?>(child)
    self.child = running
    pipeEnd = ends[1]
    // A full pipe would make us wait for the player.
    Interruption.onRequest { running.withLock { if let child = $0 { kill(child, SIGTERM) } } }
  }

  deinit { stop() }

  /// Hands over bytes; waits while the player has enough.
  ///
  /// - Throws: `interrupted` after a signal; `unavailable` when the player ended.
  func write(_ bytes: [UInt8]) throws {
    do {
      try bytes.withUnsafeBytes { try writeAll($0, to: pipeEnd, path: name) }
    } catch is BrokenPipe {
      try Interruption.check()
      try finish()
      throw Failure.playerFailed(name, status: "it closed its input")
    }
  }

  /// Waits until all is played.
  ///
  /// - Throws: `interrupted` after a signal; `unavailable` when the player failed.
  func finish() throws {
    let status = end()
    try Interruption.check()
    guard status == 0 else {
      let signal = status & 0x7F
      throw Failure.playerFailed(
        name, status: signal == 0 ? "exit code \(status >> 8 & 0xFF)" : "signal \(signal)")
    }
  }

  /// Ends the player at once.
  func stop() {
    child.withLock { if let child = $0 { kill(child, SIGTERM) } }
    _ = end()
  }

  /// Closes the pipe, waits, and gives the status.
  private func end() -> Int32 {
    guard let identifier = child.withLock({ $0 }) else { return 0 }
    close(pipeEnd)
    var status: Int32 = 0
    while waitpid(identifier, &status, 0) < 0, errno == EINTR {}
    child.withLock { $0 = nil }
    return status
  }
}
