import Base

/// What is left of a damaged file: good blocks are handed out, and what was lost is listed.
///
/// A frame that cannot be read is skipped up to the next place where a whole and good frame begins.
public struct Salvage: Sendable {
  /// Bytes that belong to no good frame.
  public private(set) var lostBytes: [Range<Int>] = []
  /// Records that were lost, by segment and ordinal in it, as far as trailer and seek table tell.
  public private(set) var lostRecords: [(segment: Int, ordinals: Range<Int>)] = []
  /// Records handed out.
  public private(set) var recordCount = 0
  /// Segments of which anything was found.
  public private(set) var segmentCount = 0
  /// Segments without a good trailer and seek table: how many records they lost is not known.
  public private(set) var openSegments = 0
  /// Failures that abort trailers told of.
  public private(set) var aborts: [Abort] = []

  /// Whether the file is whole after all.
  public var isWhole: Bool { lostBytes.isEmpty && openSegments == 0 && aborts.isEmpty }

  /// Goes through a file.
  ///
  /// - Parameters:
  ///   - header: called at the start of each segment; with nil where its header was lost.
  ///   - block: called for each good block.
  /// - Throws: what the closures throw, and failures to read the file at all: also a sound header of
  ///   a newer version, whose blocks are not ours to judge.
  public init(
    path: String, header: (StreamHeader?) throws -> Void, block: (RecordBlock) throws -> Void
  ) throws {
    let mapping = try FileMapping(path: path)
    let bytes = mapping.bytes
    var state = State()
    var offset = 0
    while offset < bytes.count {
      guard let found = try Salvage.frame(in: bytes, at: offset, path) else {
        let next = try Salvage.nextFrame(in: bytes, after: offset, path)
        lostBytes.append(offset..<next)
        offset = next
        continue
      }
      try take(found, at: offset, &state, header, block)
      offset += found.length
    }
    close(&state)
    guard segmentCount > 0 else { throw Failure.notAStream(path: path) }
  }

  private enum Found {
    case header(StreamHeader, length: Int)
    case block(RecordBlock)
    case trailer(Trailer, length: Int)
    case table(SeekTable, length: Int)

    var length: Int {
      switch self {
      case .header(_, let length), .trailer(_, let length), .table(_, let length): length
      case .block(let block): block.encoded.frame.count
      }
    }
  }

  /// What was seen of the segment at hand.
  private struct State {
    var isOpen = false
    var blocks: Set<Int> = []
    var trailer: Trailer?
  }

  private mutating func take(
    _ found: Found, at offset: Int, _ state: inout State, _ header: (StreamHeader?) throws -> Void,
    _ block: (RecordBlock) throws -> Void
  ) throws {
    if case .header(let content, _) = found {
      close(&state)
      try header(content)
      state.isOpen = true
      segmentCount += 1
      return
    }
    if !state.isOpen {
      try header(nil)
      state.isOpen = true
      segmentCount += 1
    }
    switch found {
    case .header: break
    case .block(let content):
      try block(content)
      state.blocks.insert(offset)
      recordCount += content.records.count
    case .trailer(let trailer, _):
      state.trailer = trailer
      if case .abort(let abort) = trailer.status { aborts.append(abort) }
    case .table(let table, _):
      guard let trailer = state.trailer, table.entries.count == trailer.recordsPerBlock.count + 2
      else { return }
      var place = offset - table.entries.reduce(0) { $0 + Int($1.compressed) }
      var ordinal = 0
      for (entry, count) in zip(table.entries, [0] + trailer.recordsPerBlock) {
        let (next, overflow) = ordinal.addingReportingOverflow(count)
        if overflow { break }
        if count > 0, !state.blocks.contains(place) {
          lostRecords.append((segmentCount - 1, ordinal..<next))
        }
        ordinal = next
        place += Int(entry.compressed)
      }
      state = State()
    }
  }

  private mutating func close(_ state: inout State) {
    if state.isOpen { openSegments += 1 }
    state = State()
  }

  /// The good frame at a place, if there is one.
  private static func frame(
    in bytes: UnsafeRawBufferPointer, at offset: Int, _ path: String
  ) throws -> Found? {
    let rest = bytes.piece(offset..<bytes.count)
    var scanner = FrameScanner()
    guard case .complete(let shape)? = try? scanner.scan(rest) else { return nil }
    let frame = rest.piece(0..<shape.length)
    switch shape.kind {
    case .header:
      switch try? MetaFrame.header(in: frame) {
      case .newerVersion(let version)?: throw Failure.formatVersion(version, path: path)
      case .header(let header)?: return .header(header, length: shape.length)
      case nil: return nil
      }
    case .trailer:
      return (try? MetaFrame.trailer(in: frame)).map { .trailer($0, length: shape.length) }
    case .table: return SeekTable(frame: frame).map { .table($0, length: shape.length) }
    case .block:
      guard let content = try? DecodedBlock(frame: frame, size: shape.contentSize) else {
        return nil
      }
      return .block(RecordBlock(content, frame: Array(frame), contentSize: shape.contentSize))
    }
  }

  /// The next place where a good frame begins, or the end.
  private static func nextFrame(
    in bytes: UnsafeRawBufferPointer, after offset: Int, _ path: String
  ) throws -> Int {
    var place = offset + 1
    while place + 4 <= bytes.count {
      if FrameKind(magic: bytes.littleEndian(UInt32.self, at: place)) != nil,
        try frame(in: bytes, at: place, path) != nil
      {
        return place
      }
      place += 1
    }
    return bytes.count
  }
}
