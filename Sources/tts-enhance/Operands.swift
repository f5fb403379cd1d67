import Base
import Filters
import Glibc

/// What the operands of a command line are.
enum Operands {
  /// Record streams. Of standard input the first bytes were read, unless it is a terminal.
  case records(InputPrefix?)
  /// One recording on standard input.
  case standardInput(InputPrefix)
  /// Files and folders.
  case recordings

  /// - Throws: `noInput` for what is not there, `usage` for records and recordings together.
  init(_ operands: [String]) throws {
    guard !operands.isEmpty, operands != ["-"] else {
      guard isatty(STDIN_FILENO) == 0 else {
        self = .records(nil)
        return
      }
      let prefix = try InputPrefix(of: STDIN_FILENO, path: "standard input")
      // Nothing at all is no recording: an upstream that died early must not pass for an empty one.
      let isStream = prefix.bytes.isEmpty || prefix.isRecordStream
      self = isStream ? .records(prefix) : .standardInput(prefix)
      return
    }
    let areStreams = try operands.map(Self.isStream)
    self = areStreams[0] ? .records(nil) : .recordings
    if let other = areStreams.firstIndex(of: !areStreams[0]) {
      throw Failure(
        .usage, subject: operands[other],
        problem: areStreams[0]
          ? "a recording after a record stream" : "a record stream after a recording",
        remedy: "give them to two commands")
    }
  }

  private static func isStream(_ path: String) throws -> Bool {
    if path == "-" || path.hasSuffix(".ttsr") { return true }
    var status = stat()
    guard stat(path, &status) == 0 else { throw Failure.systemCall("open", path, code: errno) }
    switch status.st_mode & S_IFMT {
    case S_IFDIR: return false
    case S_IFREG:
      let descriptor = open(path, O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else { throw Failure.systemCall("open", path, code: errno) }
      defer { close(descriptor) }
      return try InputPrefix(of: descriptor, path: path).isRecordStream
    // A pipe can be read once.
    default: return true
    }
  }
}
