public import Base
import Foundation
import Glibc

/// One run of a tool: messages, progress, counters for `--report`, the interrupted flag.
public final class ToolRun: Sendable {
  private struct State {
    var counts: [String: Int] = [:]
    var notes: [String: JSON] = [:]
    var warned: Set<String> = []
    var isSilent = false
    var lastAct: (@Sendable () -> Void)?
  }

  /// Who runs.
  public let tool: ToolDescription
  /// The options that every tool has.
  public let options: CommonOptions
  private let messages: Messages
  private let startSeconds = Clock.seconds()
  private let startDate = Date()
  private let state = Locked(State())

  /// A run that starts now.
  public init(_ tool: ToolDescription, _ options: CommonOptions) {
    self.tool = tool
    self.options = options
    messages = Messages(program: tool.program, options: options)
  }

  /// Whether a signal has asked the run to end.
  public var isInterrupted: Bool { Interruption.isRequested }

  /// Throws `interrupted` when a signal has asked the run to end: call it between records, steps.
  public func checkInterrupted() throws { try Interruption.check() }

  /// Seconds since the start.
  public var seconds: Double { Clock.seconds() - startSeconds }

  /// Prints nothing from now on and writes no report: another process speaks for this one.
  public func becomeSilent() {
    state.withLock { $0.isSilent = true }
    messages.becomeSilent()
  }

  /// Calls `body` when all has been said and written, just before the process ends.
  public func atEnd(_ body: @escaping @Sendable () -> Void) {
    state.withLock { $0.lastAct = body }
  }

  /// Does what `atEnd` was given.
  func doLastAct() {
    let lastAct = state.withLock { state in
      defer { state.lastAct = nil }
      return state.lastAct
    }
    lastAct?()
  }

  /// Prints a warning, unless `-q`.
  public func warn(_ text: String) { messages.write(.warning, text) }

  /// Prints a warning, unless `-q`, the first time only.
  public func warnOnce(_ text: String) {
    if state.withLock({ $0.warned.insert(text).inserted }) { warn(text) }
  }

  /// Prints what a user wants to know without asking, unless `-q`: results in one line.
  public func say(_ text: String) { messages.write(.info, text) }

  /// Prints a detail, with `-v`.
  public func detail(_ text: String) { messages.write(.debug, text) }

  /// Whether details are printed.
  public var isVerbose: Bool { options.verbose }

  /// Shows a line that the next one replaces: on a terminal only, at most five times a second.
  public func progress(_ text: @autoclosure () -> String) { messages.progress(text) }

  /// Adds to a counter of the report.
  public func count(_ name: String, _ number: Int = 1) {
    state.withLock { $0.counts[name, default: 0] += number }
  }

  /// Sets a value of the report.
  public func note(_ name: String, _ value: JSON) {
    state.withLock { $0.notes[name] = value }
  }

  /// Ends the run: prints the failure, writes the report.
  ///
  /// - Returns: the exit code; that of the report where nothing else failed.
  func end(_ failure: Failure?) -> Int32 {
    let code = failure?.kind.rawValue ?? 0
    messages.clearProgress()
    if let failure {
      messages.write(
        .error, failure.description,
        fields: [
          "code": .integer(Int64(failure.kind.rawValue)),
          "file": failure.subject.map(JSON.string) ?? .null,
          "record": failure.record.map(JSON.string) ?? .null,
        ])
    }
    guard let path = options.report, !state.withLock({ $0.isSilent }) else { return code }
    do {
      try AtomicFile.write(report(failure).canonicalBytes + [10], to: path)
      return code
    } catch {
      let unwritten = error as? Failure ?? Failure.unexpected(error)
      messages.write(.error, unwritten.description)
      return code == 0 ? unwritten.kind.rawValue : code
    }
  }

  /// The machine's own name, without asking a name server.
  private static var hostName: String {
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return "" }
    return name.withUnsafeBufferPointer { $0.baseAddress.map(String.init(cString:)) ?? "" }
  }

  /// The most memory that this program took, in bytes. `getrusage` counts that of the process which
  /// started it too.
  public static var peakMemory: Int? {
    guard let status = try? readFile("/proc/self/status") else { return nil }
    let line = String(decoding: status, as: UTF8.self).split(separator: "\n")
      .first { $0.hasPrefix("VmHWM:") }
    return line?.split(whereSeparator: \.isWhitespace).dropFirst().first
      .flatMap { Int($0) }.map { $0 * 1024 }
  }

  /// Times and hosts belong here, never into a stream.
  private func report(_ failure: Failure?) -> JSON {
    let (counts, notes) = state.withLock { ($0.counts, $0.notes) }
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    let processor = { (time: timeval) in Double(time.tv_sec) + Double(time.tv_usec) * 1e-6 }
    var object: [String: JSON] = notes
    object["tool"] = .string(tool.name)
    object["version"] = .string(toolkitVersion)
    object["host"] = .string(Self.hostName)
    object["started"] = .string(ISO8601DateFormatter().string(from: startDate))
    object["seconds"] = .number((seconds * 1000).rounded() / 1000)
    object["processor_seconds"] = .number(processor(usage.ru_utime) + processor(usage.ru_stime))
    object["peak_memory_bytes"] = .integer(Int64(Self.peakMemory ?? usage.ru_maxrss * 1024))
    object["threads"] = .integer(Int64(ThreadBudget.limit))
    object["counts"] = .object(counts.mapValues { .integer(Int64($0)) })
    object["exit_code"] = .integer(Int64(failure?.kind.rawValue ?? 0))
    object["message"] = failure.map { .string($0.description) } ?? .null
    return .object(object)
  }
}
