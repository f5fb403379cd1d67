import Base
import Foundation
import Glibc
import Synchronization

/// SIGINT, SIGTERM, SIGHUP and SIGUSR1, which mpirun and batch systems pass on. The first one sets a
/// flag, and whoever waits wakes up and ends cleanly (75); the second removes the temporary files and
/// ends the process at once.
///
/// The handler only writes the signal's number to a pipe; a thread that does nothing else takes it
/// from there, so that the work may use locks. Blocking the signals in all threads would not do:
/// libraries may start threads before `main`, which a mask set later does not reach.
public enum Interruption {
  private static let flag = Atomic<Bool>(false)
  private static let handlers = Locked<[@Sendable () -> Void]>([])
  /// A pipe that becomes readable with the first signal, for `poll`.
  private static let wakePipe: (reading: Int32, writing: Int32) = {
    var ends: [Int32] = [-1, -1]
    _ = pipe(&ends)
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    return (ends[0], ends[1])
  }()

  /// Whether a signal has asked the process to end.
  public static var isRequested: Bool { flag.load(ordering: .acquiring) }

  /// Throws `interrupted` when a signal has asked the process to end.
  public static func check() throws {
    if isRequested { throw Failure.interrupted }
  }

  /// Calls `body`, on another thread, when the first signal arrives.
  public static func onRequest(_ body: @escaping @Sendable () -> Void) {
    handlers.withLock { $0.append(body) }
  }

  /// Waits until a descriptor has something to read, or throws `interrupted`.
  public static func waitToRead(_ descriptor: Int32) throws {
    _ = try waitToRead([descriptor])
  }

  /// Waits until at least one of some descriptors has something to read, or throws `interrupted`.
  ///
  /// - Parameter deadline: a time of ``Clock`` to wait until; nil for as long as it takes.
  /// - Returns: those that have something, or are at their end; none when the time is over.
  static func waitToRead(_ descriptors: [Int32], until deadline: Double? = nil) throws -> [Int32] {
    while true {
      try check()
      var waits = (descriptors + [wakePipe.reading]).map {
        pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
      }
      let rest = deadline.map { $0 - Clock.seconds() }
      if let rest, rest <= 0 { return [] }
      // Rounded up: what is left is waited for, too.
      let milliseconds = rest.map { Int32(min(1e6, ($0 * 1000).rounded(.up))) } ?? -1
      if poll(&waits, nfds_t(waits.count), milliseconds) < 0, errno != EINTR { return descriptors }
      let ready = zip(descriptors, waits).filter { $1.revents != 0 }.map { $0.0 }
      if !ready.isEmpty { return ready }
    }
  }

  /// Asks the process to end, as the first signal does.
  static func request() {
    guard !flag.exchange(true, ordering: .acquiringAndReleasing) else { return }
    var byte: UInt8 = 1
    _ = write(wakePipe.writing, &byte, 1)
    for body in handlers.withLock({ $0 }) { body() }
  }

  /// Starts to take the signals. A signal that the parent had ignored (nohup, `cmd &` in a
  /// script) stays ignored.
  static func install() {
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else { return }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    signalPipe = ends[1]
    _ = wakePipe
    for number in [SIGINT, SIGTERM, SIGHUP, SIGUSR1] {
      var action = sigaction()
      sigaction(number, nil, &action)
      if unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1 { continue }
      action = sigaction()
      action.__sigaction_handler.sa_handler = { number in
        let code = errno
        var byte = UInt8(truncatingIfNeeded: number)
        _ = write(signalPipe, &byte, 1)
        errno = code
      }
      action.sa_flags = SA_RESTART
      sigaction(number, &action, nil)
    }
    let reading = ends[0]
    startThread(named: "signals") {
      var number: UInt8 = 0
      while true {
        guard read(reading, &number, 1) == 1 else { continue }
        if isRequested {
          ExternalCommand.endAll()
          TemporaryFiles.deleteAll()
          _exit(128 + Int32(number))
        }
        request()
      }
    }
  }
}

/// Where the signal handler writes; set once, before the handler is.
nonisolated(unsafe) private var signalPipe: Int32 = -1

/// Starts a thread of its own for work that blocks or computes for long.
public func startThread(named name: String, _ body: @escaping @Sendable () -> Void) {
  let thread = Thread { body() }
  thread.name = name
  thread.stackSize = 8 << 20
  thread.start()
}
