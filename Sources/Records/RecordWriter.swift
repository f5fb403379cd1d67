public import Base
import Safetensors

/// Writes a stream of records: blocks are cut by data alone, compressed and hashed on background
/// threads, and written in order. Used by one thread at a time.
///
/// A stream is good only after `finish`: without it the output ends without a trailer (a pipe) or
/// does not exist (a file).
public final class RecordWriter: @unchecked Sendable {
  /// The level for streams that are kept.
  public static let defaultLevel = 3
  /// The level for streams between two programs.
  public static let fastestLevel = -50
  /// The levels that may be asked for.
  public static var levels: ClosedRange<Int> { Zstandard.levels }

  /// The output's name in messages.
  public let path: String
  /// The header of the current segment.
  public private(set) var header: StreamHeader
  /// The trailers of the finished segments.
  public private(set) var trailers: [Trailer] = []
  /// Bytes handed to the system so far.
  public private(set) var bytesWritten = 0

  private let descriptor: Int32
  private let file: AtomicFile?
  private let level: Int
  private var builder = BlockBuilder()
  private var jobs: [Job<EncodedBlock>] = []
  private var check = SegmentCheck()
  private var isOpen = true

  /// Writes to an open descriptor, which stays open.
  ///
  /// - Parameters:
  ///   - path: its name in messages.
  ///   - header: how the stream was made; written at once.
  ///   - level: of compression; the content does not depend on it.
  public convenience init(
    descriptor: Int32, path: String = "standard output", header: StreamHeader,
    level: Int = RecordWriter.defaultLevel
  ) throws {
    try self.init(descriptor, path, nil, header, level)
  }

  /// Writes to a file, which gets its name in `finish`, and never does when the stream is aborted.
  public convenience init(
    file: AtomicFile, header: StreamHeader, level: Int = RecordWriter.defaultLevel
  ) throws {
    try self.init(file.descriptor, file.path, file, header, level)
  }

  private init(
    _ descriptor: Int32, _ path: String, _ file: AtomicFile?, _ header: StreamHeader, _ level: Int
  ) throws {
    self.descriptor = descriptor
    self.path = path
    self.file = file
    self.header = header
    self.level = min(max(level, Zstandard.levels.lowerBound), Zstandard.levels.upperBound)
    try begin(header)
  }

  /// Adds a record at the end.
  public func write(_ record: Record) throws {
    precondition(isOpen, "a finished stream takes no records")
    let encoding = try record.encoding()
    if !builder.takes(encoding.size) { try closeBlock() }
    builder.append(record, encoding)
    while let first = jobs.first, first.isDone { try writeFirst() }
  }

  /// Adds the records of a block that was read, as they stand and without compressing them again.
  public func write(_ block: RecordBlock) throws {
    precondition(isOpen, "a finished stream takes no records")
    try closeBlock()
    jobs.append(Job(done: block.encoded))
    while let first = jobs.first, first.isDone { try writeFirst() }
  }

  /// Ends the segment and begins another.
  ///
  /// - Parameter from: the any-order digest of what the ending one was made from.
  public func startSegment(_ header: StreamHeader, from: SHA256Digest? = nil) throws {
    try endSegment(.ok, from: from)
    try begin(header)
  }

  /// Ends the stream well; a file gets its name.
  ///
  /// - Parameter from: the any-order digest of what the last segment was made from.
  public func finish(from: SHA256Digest? = nil) throws {
    precondition(isOpen, "a stream is finished once")
    isOpen = false
    try endSegment(.ok, from: from)
    try file?.commit()
  }

  /// Ends the stream after a failure: a pipe gets the records so far and an `abort` trailer, a file
  /// is removed.
  public func abort(_ abort: Abort) throws {
    guard isOpen else { return }
    isOpen = false
    if let file {
      jobs = []
      file.discard()
    } else {
      try endSegment(.abort(abort), from: nil)
    }
  }

  /// Ends the stream after a failure of this program.
  public func abort(_ failure: Failure, stage: String) throws {
    try abort(Abort(failure, stage: stage))
  }

  /// The trailer of the last finished segment.
  public var trailer: Trailer? { trailers.last }

  private func begin(_ header: StreamHeader) throws {
    self.header = header
    check = SegmentCheck()
    let frame = MetaFrame.frame(header)
    check.count(metaFrame: frame.count)
    try write(frame)
  }

  private func closeBlock() throws {
    guard !builder.isEmpty else { return }
    let block = builder
    let level = level
    builder = BlockBuilder()
    jobs.append(Job { try block.encoded(level: level) })
    let threads = ThreadBudget.limit
    while jobs.count > (threads > 1 ? 2 * threads : 0) { try writeFirst() }
  }

  private func writeFirst() throws {
    let block = try jobs.removeFirst().value()
    check.count(block)
    guard check.table.entries.count < SeekTable.frameLimit else {
      throw Failure.segmentTooLong(path)
    }
    try write(block.frame)
  }

  private func endSegment(_ status: Trailer.Status, from: SHA256Digest?) throws {
    try closeBlock()
    while !jobs.isEmpty { try writeFirst() }
    let trailer = check.trailer(status, from: from)
    let frame = MetaFrame.frame(trailer)
    check.count(metaFrame: frame.count)
    try write(frame + check.table.frame)
    trailers.append(trailer)
  }

  private func write(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { try writeAll($0, to: descriptor, path: path) }
    bytesWritten += bytes.count
  }
}
