import Base
import Glibc

/// Writes lines, and on a terminal one line of progress, to stderr.
final class Messages: Sendable {
  enum Level: String { case error, warning, info, debug }

  private struct State {
    var progressShown = false
    var lastProgress = -1.0
    var isSilent = false
  }

  private let program: String
  private let format: CommonOptions.LogFormat
  private let least: Level
  private let showsProgress: Bool
  private let state = Locked(State())

  init(program: String, options: CommonOptions) {
    self.program = program
    format = options.log
    least = options.quiet ? .error : options.verbose ? .debug : .info
    showsProgress = !options.quiet && options.log == .text && isatty(STDERR_FILENO) == 1
  }

  /// Writes nothing from now on, errors included.
  func becomeSilent() { state.withLock { $0.isSilent = true } }

  func isShown(_ level: Level) -> Bool {
    switch level {
    case .error: true
    case .warning, .info: least != .error
    case .debug: least == .debug
    }
  }

  func write(_ level: Level, _ text: String, fields: [String: JSON] = [:]) {
    guard isShown(level) else { return }
    var line: [UInt8]
    switch format {
    case .text:
      line = Array("\(program): \(level == .warning ? "warning: " : "")\(text)".utf8)
    case .json:
      var object = fields
      object["level"] = .string(level.rawValue)
      object["tool"] = .string(program)
      object["message"] = .string(text)
      line = JSON.object(object).canonicalBytes
    }
    line.append(10)
    state.withLock { state in
      guard !state.isSilent else { return }
      if state.progressShown { put(Array("\r\u{1B}[K".utf8)) }
      state.progressShown = false
      put(line)
    }
  }

  /// Shows a line that the next one replaces, at most five times a second, and only on a terminal.
  func progress(_ text: () -> String) {
    guard showsProgress else { return }
    let now = Clock.seconds()
    let isDue = state.withLock { state in
      guard now - state.lastProgress >= 0.2, !state.isSilent else { return false }
      state.lastProgress = now
      state.progressShown = true
      return true
    }
    if isDue { put(Array("\r\u{1B}[K\(program): \(text())".utf8)) }
  }

  /// Removes the line of progress.
  func clearProgress() {
    state.withLock { state in
      if state.progressShown { put(Array("\r\u{1B}[K".utf8)) }
      state.progressShown = false
    }
  }

  /// One write, so that lines of several tools do not mix; nothing can be done if it fails.
  private func put(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { try? writeAll($0, to: STDERR_FILENO, path: "standard error") }
  }
}

/// Time that only moves forward, in seconds.
enum Clock {
  static func seconds() -> Double {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Double(now.tv_sec) + Double(now.tv_nsec) * 1e-9
  }
}
