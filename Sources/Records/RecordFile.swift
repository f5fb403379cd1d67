import Base
import Glibc

/// A file of one or more segments, read in any order: any record by its ordinal.
///
/// Opening reads headers, trailers and seek tables only, whatever the size of the file. A block is
/// checked when it is read; the blocks used last are kept.
public final class RecordFile: Sendable {
  /// What is known of a segment without reading its records.
  public struct Segment: Sendable {
    /// How it was made.
    public let header: StreamHeader
    /// What it holds.
    public let trailer: Trailer
    /// The ordinals of its records in the file.
    public let records: Range<Int>
  }
  private struct Block: Sendable {
    var offset: Int
    var entry: SeekTable.Entry
    var records: Range<Int>
  }

  /// The file.
  public let path: String
  /// The segments in order.
  public let segments: [Segment]
  private let blocks: [Block]
  private let descriptor: Int32
  private let kept = Locked<[(block: Int, records: [Record])]>([])

  /// Blocks that are kept decompressed.
  private static let keptLimit = 4

  /// Opens a file.
  ///
  /// - Parameter allowingAborted: whether a file whose maker failed is opened too; else its failure is
  ///   thrown.
  public init(path: String, allowingAborted: Bool = false) throws {
    self.path = path
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Failure.systemCall("open", path, code: errno) }
    do {
      let found = try RecordFile.segments(descriptor, path)
      var segments: [Segment] = []
      var blocks: [Block] = []
      var ordinal = 0
      for part in found.reversed() {
        let first = ordinal
        var offset = part.offset + Int(part.table.entries[0].compressed)
        for (entry, count) in zip(
          part.table.entries.dropFirst(), part.trailer.recordsPerBlock)
        {
          blocks.append(Block(offset: offset, entry: entry, records: ordinal..<ordinal + count))
          offset += Int(entry.compressed)
          ordinal += count
        }
        segments.append(
          Segment(header: part.header, trailer: part.trailer, records: first..<ordinal))
        if case .abort(let abort) = part.trailer.status, !allowingAborted { throw abort.failure }
      }
      self.segments = segments
      self.blocks = blocks
    } catch {
      close(descriptor)
      throw error
    }
  }

  deinit { close(descriptor) }

  /// Records in the file.
  public var count: Int { segments.last?.records.upperBound ?? 0 }

  /// The headers of the segments.
  public var headers: [StreamHeader] { segments.map(\.header) }

  /// The trailers of the segments.
  public var trailers: [Trailer] { segments.map(\.trailer) }

  /// Counts, digests and durations of the whole file, as its trailers tell them.
  public var tally: Tally { segments.reduce(Tally()) { $0 + $1.trailer.tally } }

  /// Blocks in the file.
  public var blockCount: Int { blocks.count }

  /// The ordinals of a block's records.
  public func records(ofBlock block: Int) -> Range<Int> { blocks[block].records }

  /// The block that holds a record.
  public func block(of ordinal: Int) -> Int {
    var (low, high) = (0, blocks.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if blocks[middle].records.lowerBound <= ordinal { low = middle } else { high = middle }
    }
    return low
  }

  /// Reads one record.
  ///
  /// - Parameter ordinal: its place in the file, from 0.
  public func read(_ ordinal: Int) throws -> Record {
    guard (0..<count).contains(ordinal) else {
      throw Failure.ordinal(ordinal, count: count, path: path)
    }
    let block = block(of: ordinal)
    let records = try readBlock(block)
    return records[ordinal - blocks[block].records.lowerBound]
  }

  /// Reads the records of one block.
  public func readBlock(_ index: Int) throws -> [Record] {
    if let records = kept.withLock({ kept -> [Record]? in
      guard let place = kept.firstIndex(where: { $0.block == index }) else { return nil }
      let hit = kept.remove(at: place)
      kept.append(hit)
      return hit.records
    }) {
      return records
    }
    let records = try load(blocks[index])
    kept.withLock { kept in
      kept.append((index, records))
      if kept.count > RecordFile.keptLimit { kept.removeFirst() }
    }
    return records
  }

  private func load(_ block: Block) throws -> [Record] {
    let frame = try RecordFile.bytes(
      descriptor, path, at: block.offset, count: Int(block.entry.compressed))
    func damaged(_ problem: String, _ ordinal: Int = 0) -> Failure {
      .malformed(
        problem, path: path, offset: block.offset,
        after: RecordPlace(ordinal: block.records.lowerBound + ordinal))
    }
    do {
      return try frame.withUnsafeBytes { bytes in
        var scanner = FrameScanner()
        guard case .complete(let shape) = try scanner.scan(bytes), shape.kind == .block,
          shape.length == bytes.count, shape.contentSize == Int(block.entry.decompressed)
        else { throw damaged("the seek table does not fit the block") }
        let content = try DecodedBlock(frame: bytes, size: shape.contentSize)
        guard content.checksum == block.entry.checksum,
          content.records.count == block.records.count
        else { throw damaged("the seek table does not fit the block") }
        return content.records
      }
    } catch let problem as FrameProblem {
      throw damaged(problem.problem)
    } catch let problem as BlockProblem {
      throw damaged(problem.problem, problem.ordinal)
    }
  }

  private static func bytes(
    _ descriptor: Int32, _ path: String, at offset: Int, count: Int
  ) throws -> [UInt8] {
    var code = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      filled = 0
      while filled < count, let base = buffer.baseAddress {
        code = pread(descriptor, base + filled, count - filled, offset + filled)
        if code < 0, errno == EINTR { continue }
        if code <= 0 { break }
        filled += code
      }
    }
    guard code >= 0 else { throw Failure.systemCall("read", path, code: errno) }
    guard bytes.count == count else {
      throw Failure.malformed("the file became shorter", path: path, offset: offset)
    }
    return bytes
  }
}

extension RecordFile {
  private struct Part {
    var offset: Int
    var header: StreamHeader
    var trailer: Trailer
    var table: SeekTable
  }

  /// The segments from the last to the first: each table tells how long its segment is.
  private static func segments(_ descriptor: Int32, _ path: String) throws -> [Part] {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      throw Failure.systemCall("read", path, code: errno)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw Failure(
        .noInput, subject: path, problem: "not a regular file",
        remedy: "save the stream to a file first, with 'tts-stream save'")
    }
    var end = Int(status.st_size)
    var parts: [Part] = []
    repeat {
      do {
        let part = try segment(descriptor, path, end: end)
        parts.append(part)
        end = part.offset
      } catch let problem as FrameProblem {
        try explain(descriptor, path, size: Int(status.st_size))
        throw Failure.malformed(problem.problem, path: path, offset: end)
      }
    } while end > 0
    return parts
  }

  private static func segment(_ descriptor: Int32, _ path: String, end: Int) throws -> Part {
    let footerSize = SeekTable.footerSize
    guard end >= SeekTable.size(frames: 2) else {
      throw FrameProblem(problem: "cut short: there is no seek table")
    }
    let footer = try bytes(descriptor, path, at: end - footerSize, count: footerSize)
    guard let count = footer.withUnsafeBytes({ SeekTable.frameCount(footer: $0) }), count >= 2,
      SeekTable.size(frames: count) <= end
    else { throw FrameProblem(problem: "cut short: there is no seek table") }
    let tableSize = SeekTable.size(frames: count)
    let tableBytes = try bytes(descriptor, path, at: end - tableSize, count: tableSize)
    guard let table = tableBytes.withUnsafeBytes({ SeekTable(frame: $0) }) else {
      throw FrameProblem(problem: "the seek table is wrong")
    }
    let length = table.entries.reduce(0) { $0 + Int($1.compressed) }
    guard length + tableSize <= end else {
      throw FrameProblem(problem: "the seek table is wrong")
    }
    let start = end - tableSize - length
    let (first, last) = (table.entries[0], table.entries[count - 1])
    let headerFrame = try metaFrame(descriptor, path, first, at: start, .header)
    let trailerFrame = try metaFrame(
      descriptor, path, last, at: end - tableSize - Int(last.compressed), .trailer)
    let header: StreamHeader
    switch try headerFrame.withUnsafeBytes({ try MetaFrame.header(in: $0) }) {
    case .newerVersion(let version): throw Failure.formatVersion(version, path: path)
    case .header(let found): header = found
    }
    let unknown = header.features.filter { !StreamHeader.knownFeatures.contains($0) }
    guard unknown.isEmpty else { throw Failure.features(unknown, path: path) }
    let trailer = try trailerFrame.withUnsafeBytes { try MetaFrame.trailer(in: $0) }
    guard trailer.recordsPerBlock.count == count - 2,
      trailer.recordsPerBlock.allSatisfy({ (1...FrameKind.block.limit).contains($0) }),
      trailer.recordsPerBlock.reduce(0, { $0.saturatingSum($1) }) == trailer.tally.records
    else { throw FrameProblem(problem: "trailer and seek table do not agree") }
    return Part(offset: start, header: header, trailer: trailer, table: table)
  }

  private static func metaFrame(
    _ descriptor: Int32, _ path: String, _ entry: SeekTable.Entry, at offset: Int, _ kind: FrameKind
  ) throws -> [UInt8] {
    guard entry.decompressed == 0, entry.checksum == SeekTable.emptyChecksum,
      entry.compressed <= 8 + kind.limit
    else { throw FrameProblem(problem: "the seek table is wrong") }
    let frame = try bytes(descriptor, path, at: offset, count: Int(entry.compressed))
    var scanner = FrameScanner()
    guard case .complete(let shape) = try frame.withUnsafeBytes({ try scanner.scan($0) }),
      shape.kind == kind, shape.length == frame.count
    else { throw FrameProblem(problem: "the seek table does not fit the file") }
    return frame
  }

  /// Throws the failure that tells most: a file of another kind, or of a newer version.
  private static func explain(_ descriptor: Int32, _ path: String, size: Int) throws {
    let start = try bytes(descriptor, path, at: 0, count: min(size, 16))
    let isStream = start.withUnsafeBytes {
      $0.count >= 4 && $0.littleEndian(UInt32.self, at: 0) == FrameKind.header.magic
    }
    guard isStream || size == 0 else { throw Failure.notAStream(path: path) }
    guard size > 0 else {
      throw Failure.truncated(path: path, offset: 0, after: RecordPlace(ordinal: 0), isPipe: false)
    }
    _ = try RecordReader(path: path)
  }
}
