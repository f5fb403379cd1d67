public import Base
import Glibc
public import Records

/// The stream that a filter or source writes: to a file that gets its name only when it is whole,
/// or to standard output. A new segment begins where the header changes.
///
/// Use it from one thread. A run that fails calls `abort`, which leaves nothing of a file, and an
/// abort trailer in a pipe.
public final class RecordOutput {
  private let file: AtomicFile?
  private let level: Int
  private let stageName: String
  private var writer: RecordWriter?
  /// What was read for the open segment: kept in its trailer.
  private var from = SHA256Digest.zero

  /// The abort that an upstream tool began, to be passed on as it is.
  var upstreamAbort: Abort?

  /// Takes over the abort that an input met, so that it is passed on as it is.
  public func relay(from input: RecordInput) {
    upstreamAbort = upstreamAbort ?? input.upstreamAbort
  }

  /// Opens the output.
  ///
  /// - Throws: `usage` for a terminal, `cannotCreate` for a directory that cannot be written.
  public convenience init(_ options: OutputOptions, _ run: ToolRun) throws {
    try self.init(path: options.output, level: options.level, run)
  }

  /// Opens the output.
  ///
  /// - Parameter path: nil or "-" is standard output.
  /// - Throws: as above.
  public init(path: String?, level: LevelOptions, _ run: ToolRun) throws {
    self.level = level.number
    stageName = run.tool.name
    if let path, path != "-" {
      file = try AtomicFile(path: path)
    } else {
      guard isatty(STDOUT_FILENO) == 0 else { throw Failure.binaryToTerminal }
      file = nil
    }
  }

  /// Says under which header the next records stand.
  public func begin(_ header: StreamHeader) throws {
    if let writer {
      guard header != writer.header else { return }
      try writer.startSegment(header, from: from)
      from = .zero
    } else if let file {
      writer = try RecordWriter(file: file, header: header, level: level)
    } else {
      writer = try RecordWriter(descriptor: STDOUT_FILENO, header: header, level: level)
    }
  }

  /// Writes a record.
  public func write(_ record: Record) throws {
    guard let writer else { preconditionFailure("begin comes before write") }
    try writer.write(record)
  }

  /// Remembers that the open segment was made from input of this digest.
  public func add(from digest: SHA256Digest) { from = from + digest }

  /// Ends the stream well, and gives the file its name.
  public func finish() throws { try writer?.finish(from: from) }

  /// Ends the stream with the error, as well as that can still be done: whoever reads a pipe learns
  /// of it, also where nothing was written yet.
  public func abort(_ error: any Error) {
    guard !(error is BrokenPipe) else { return }
    let failure = error as? Failure ?? Failure.unexpected(error)
    if writer == nil, file == nil { try? begin(StreamHeader()) }
    try? writer?.abort(upstreamAbort ?? Abort(failure, stage: stageName))
    file?.discard()
  }
}

/// Bytes to a file that gets its name only when it is whole, or to standard output: for tools whose
/// output is no record stream.
public final class ByteOutput {
  private let file: AtomicFile?
  /// Where the bytes go, for a writer of its own.
  public let descriptor: Int32
  /// The output's name in messages.
  public let path: String
  private var buffer: [UInt8] = []

  /// Opens the output.
  ///
  /// - Parameters:
  ///   - path: nil or "-" is standard output.
  ///   - isBinary: whether a terminal is refused.
  public init(path: String?, isBinary: Bool = false) throws {
    if let path, path != "-" {
      let file = try AtomicFile(path: path)
      self.file = file
      descriptor = file.descriptor
      self.path = path
    } else {
      if isBinary, isatty(STDOUT_FILENO) == 1 { throw Failure.binaryToTerminal }
      file = nil
      descriptor = STDOUT_FILENO
      self.path = "standard output"
    }
  }

  /// Adds bytes.
  public func write(_ bytes: [UInt8]) throws {
    buffer += bytes
    if buffer.count >= 1 << 16 { try flush() }
  }

  /// Adds text.
  public func write(_ text: String) throws { try write(Array(text.utf8)) }

  /// Sends on what was added: for output that somebody listens to.
  public func flush() throws {
    try buffer.withUnsafeBytes { try writeAll($0, to: descriptor, path: path) }
    buffer.removeAll(keepingCapacity: true)
  }

  /// Ends the output well, and gives the file its name. Without it a file vanishes.
  public func finish() throws {
    try flush()
    try file?.commit()
  }

  /// Removes what was written to a file.
  public func discard() { file?.discard() }
}
