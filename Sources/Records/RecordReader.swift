public import Base
import Glibc

/// Reads a stream of records in order, from a file or a pipe, checking everything on the way.
///
/// Blocks are decompressed and parsed on background threads while the caller works; how many wait is
/// bounded. `next` returns records until the stream has ended well: whatever is wrong is thrown, an
/// upstream's failure with its own code and message. Used by one thread at a time.
public final class RecordReader: @unchecked Sendable {
  /// The input's name in messages.
  public let path: String
  /// The headers of the segments so far, the current one last.
  public private(set) var headers: [StreamHeader] = []
  /// The trailers of the segments read to their end, `abort` ones included.
  public private(set) var trailers: [Trailer] = []
  /// Records returned so far.
  public private(set) var recordCount = 0
  /// The abort trailer met, as it stands, for whoever relays it.
  public private(set) var upstreamAbort: Abort?

  private enum Unit {
    case header(StreamHeader, length: Int)
    case block(Job<BlockResult>, frame: [UInt8], shape: FrameShape, offset: Int)
    case trailer(Trailer, length: Int, offset: Int)
    case table([UInt8], offset: Int)
    case failure(Failure)
  }
  private typealias BlockResult = Result<DecodedBlock, BlockProblem>
  private enum Expectation { case header, blocks, table, nothing }

  private var source: ByteSource
  private let isPipe: Bool
  private var scanner = FrameScanner()
  private var expectation = Expectation.header
  private var units: [Unit] = []
  private var waitingBytes = 0
  private var records: ArraySlice<Record> = []
  private var block: RecordBlock?
  private var check = SegmentCheck()
  private var lastID: String?
  private var sum = Tally()
  private var hasEnded = false
  private var failure: Failure?

  /// Opens a stream and reads its header.
  ///
  /// - Parameters:
  ///   - path: a file; nil or `-` is standard input.
  ///   - waitToRead: called before each read, to wait for the descriptor in a way that a signal ends.
  public convenience init(path: String?, waitToRead: ((Int32) throws -> Void)? = nil) throws {
    guard let path, path != "-" else {
      try self.init(descriptor: STDIN_FILENO, path: "standard input", waitToRead: waitToRead)
      return
    }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Failure.systemCall("open", path, code: errno) }
    try self.init(
      descriptor: descriptor, path: path, ownsDescriptor: true, waitToRead: waitToRead)
  }

  /// Reads a stream from an open descriptor.
  ///
  /// - Parameters:
  ///   - path: its name in messages.
  ///   - ownsDescriptor: whether it is closed with the reader.
  ///   - prefix: bytes that were already read from it, to see what it is.
  ///   - waitToRead: called before each read.
  public init(
    descriptor: Int32, path: String, ownsDescriptor: Bool = false, prefix: [UInt8] = [],
    waitToRead: ((Int32) throws -> Void)? = nil
  ) throws {
    self.path = path
    source = ByteSource(
      descriptor: descriptor, path: path, ownsDescriptor: ownsDescriptor, prefix: prefix,
      waitToRead: waitToRead)
    var status = stat()
    isPipe = fstat(descriptor, &status) != 0 || status.st_mode & S_IFMT != S_IFREG
    if !isPipe { posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL) }
    while units.isEmpty { try readUnit() }
    switch units.removeFirst() {
    case .header(let header, let length): begin(header, length)
    case .failure(let failure): throw failure
    case .block, .trailer, .table: throw Failure.notAStream(path: path)
    }
  }

  /// The next record; nil after the end of a whole stream.
  public func next() throws -> Record? {
    if let failure { throw failure }
    do {
      while true {
        if let record = records.popFirst() {
          block = nil
          recordCount += 1
          lastID = record.id
          return record
        }
        guard try advance() else { return nil }
      }
    } catch let thrown as Failure {
      failure = thrown
      throw thrown
    }
  }

  /// The next block, whole, for whoever passes records on as they are; nil after the end of a whole
  /// stream. What `next` has left of a block is skipped.
  public func nextBlock() throws -> RecordBlock? {
    if let failure { throw failure }
    do {
      block = nil
      records = []
      while block == nil { guard try advance() else { return nil } }
      recordCount += records.count
      lastID = records.last?.id
      records = []
      return block
    } catch let thrown as Failure {
      failure = thrown
      throw thrown
    }
  }

  /// Counts, digests and durations of the segments read to their end.
  public var tally: Tally { sum }

  /// Bytes of the stream that were taken in; the system has read somewhat further.
  public var bytesRead: Int { source.offset }

  /// The any-order digest of what was read: what the output's trailer keeps as `from`.
  public var inputDigest: SHA256Digest { sum.digest }

  /// The header of the current segment, which is the first one after opening.
  public var header: StreamHeader { headers.last ?? StreamHeader() }

  /// The place of the current segment, from 0; it changes in `next`.
  public var segment: Int { headers.count - 1 }

  private var place: RecordPlace { RecordPlace(ordinal: recordCount, id: lastID) }

  private func begin(_ header: StreamHeader, _ length: Int) {
    headers.append(header)
    check = SegmentCheck()
    check.count(metaFrame: length)
  }

  /// Works off one unit.
  ///
  /// - Returns: false at the end of the stream.
  private func advance() throws -> Bool {
    while units.isEmpty, !hasEnded { try readUnit() }
    readAhead()
    guard !units.isEmpty else { return false }
    switch units.removeFirst() {
    case .header(let header, let length):
      begin(header, length)
    case .block(let job, let frame, let shape, let offset):
      waitingBytes -= shape.contentSize
      switch try job.value() {
      case .success(let content):
        check.count(content, frameLength: shape.length, contentSize: shape.contentSize)
        records = content.records[...]
        block = RecordBlock(content, frame: frame, contentSize: shape.contentSize)
      case .failure(let problem):
        throw Failure.malformed(
          problem.problem, path: path, offset: offset,
          after: RecordPlace(ordinal: recordCount + problem.ordinal, id: nil))
      }
    case .trailer(let trailer, let length, let offset):
      if let contradiction = check.contradiction(of: trailer) {
        throw Failure.malformed(contradiction, path: path, offset: offset, after: place)
      }
      check.count(metaFrame: length)
      trailers.append(trailer)
      sum += trailer.tally
      if case .abort(let abort) = trailer.status {
        upstreamAbort = abort
        throw abort.failure
      }
    case .table(let bytes, let offset):
      guard bytes == check.table.frame else {
        throw Failure.malformed("the seek table is wrong", path: path, offset: offset, after: place)
      }
    case .failure(let failure): throw failure
    }
    return true
  }

  /// Starts on further blocks as far as bytes are there and the bounds allow.
  private func readAhead() {
    let threads = ThreadBudget.limit
    guard threads > 1 else { return }
    do {
      while !hasEnded, units.count < 2 * threads, waitingBytes < threads * 4 * BlockBuilder.target,
        source.isReady()
      { try readUnit(waiting: false) }
    } catch {
      // Kept as the last unit: what came before it is good.
    }
  }

  /// Reads until one more unit is there, or once if not to wait.
  private func readUnit(waiting: Bool = true) throws {
    var offset = source.offset
    do {
      repeat {
        offset = source.offset
        guard source.count > 0 || !source.isAtEnd else { return try end() }
        let progress = try source.withBytes { try scanner.scan($0) }
        switch progress {
        case .needs:
          guard !source.isAtEnd else {
            // Nothing at all on a pipe: whoever should have written there is gone.
            let isNothing = source.count + offset == 0
            throw isNothing && !isPipe || !isNothing && offset == 0 && !looksLikeStream
              ? Failure.notAStream(path: path) : truncation(at: offset + source.count)
          }
          try source.readMore()
        case .complete(let shape):
          scanner = FrameScanner()
          return try take(shape, at: offset)
        }
      } while waiting
    } catch let problem as FrameProblem {
      stop(
        offset == 0 && source.offset == 0 && !looksLikeStream
          ? .notAStream(path: path)
          : .malformed(problem.problem, path: path, offset: offset))
    } catch let failure as Failure {
      stop(failure)
    }
  }

  /// Whether the first bytes are those of a header frame.
  private var looksLikeStream: Bool {
    source.withBytes {
      $0.count >= 4 && $0.littleEndian(UInt32.self, at: 0) == FrameKind.header.magic
    }
  }

  private func stop(_ failure: Failure) {
    hasEnded = true
    units.append(.failure(failure))
  }

  private func end() throws {
    hasEnded = true
    guard expectation == .header else { throw truncation(at: source.offset) }
    if source.offset == 0 { throw truncation(at: 0) }
  }

  private func truncation(at offset: Int) -> Failure {
    .truncated(path: path, offset: offset, after: place, isPipe: isPipe)
  }

  private func take(_ shape: FrameShape, at offset: Int) throws {
    let path = path
    let frame = source.take(shape.length)
    switch (shape.kind, expectation) {
    case (.header, .header):
      let content = try frame.withUnsafeBytes { try MetaFrame.header(in: $0) }
      switch content {
      case .newerVersion(let version): throw Failure.formatVersion(version, path: path)
      case .header(let header):
        let unknown = header.features.filter { !StreamHeader.knownFeatures.contains($0) }
        guard unknown.isEmpty else { throw Failure.features(unknown, path: path) }
        units.append(.header(header, length: shape.length))
      }
      expectation = .blocks
    case (.block, .blocks):
      let size = shape.contentSize
      waitingBytes += size
      units.append(
        .block(
          Job {
            frame.withUnsafeBytes { bytes in
              Result { () throws(BlockProblem) in try DecodedBlock(frame: bytes, size: size) }
            }
          }, frame: frame, shape: shape, offset: offset))
    case (.trailer, .blocks):
      let trailer = try frame.withUnsafeBytes { try MetaFrame.trailer(in: $0) }
      units.append(.trailer(trailer, length: shape.length, offset: offset))
      expectation = .table
    case (.table, .table):
      units.append(.table(frame, offset: offset))
      expectation = .header
    default:
      throw Failure.malformed("a frame that does not belong here", path: path, offset: offset)
    }
  }
}
