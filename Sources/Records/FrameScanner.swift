/// The four kinds of frames of a stream.
enum FrameKind: Sendable {
  case header, block, trailer, table

  /// The first four bytes, as a little-endian number.
  var magic: UInt32 {
    switch self {
    case .block: 0xFD2F_B528
    case .header: 0x184D_2A50
    case .trailer: 0x184D_2A51
    case .table: 0x184D_2A5E
    }
  }

  init?(magic: UInt32) {
    switch magic {
    case 0xFD2F_B528: self = .block
    case 0x184D_2A50: self = .header
    case 0x184D_2A51: self = .trailer
    case 0x184D_2A5E: self = .table
    default: return nil
    }
  }

  /// The most content that is taken: skippable frames as they stand, blocks decompressed.
  var limit: Int {
    switch self {
    case .header: 16 << 20
    case .block: 128 << 20
    case .trailer: 16 << 20
    case .table: SeekTable.size(frames: SeekTable.frameLimit) - 8
    }
  }
}

/// A whole frame, found but not yet looked into.
struct FrameShape: Sendable {
  var kind: FrameKind
  /// Bytes of the frame.
  var length: Int
  /// Bytes that it stands for: those of the block when decompressed, or of the frame's content.
  var contentSize: Int
}

/// What is wrong with a frame's outside.
struct FrameProblem: Error {
  var problem: String
}

/// Finds where a frame ends, from its own bytes alone, however they arrive.
///
/// A zstd frame says nowhere how long it is: one walks from block header to block header. On the way
/// the most that the blocks can expand to is added up, so that a claimed size that they cannot reach
/// is refused before memory is taken for it.
struct FrameScanner {
  private enum Step { case magic, frameHeader, zstdBlock, checksum, rest }
  private var step = Step.magic
  /// Bytes looked at.
  private var position = 0
  private var shape = FrameShape(kind: .block, length: 0, contentSize: 0)
  private var reach = 0

  enum Progress {
    /// The frame has at least so many bytes.
    case needs(Int)
    case complete(FrameShape)
  }

  /// Looks at the bytes of a frame, from its start, that have arrived.
  mutating func scan(_ bytes: UnsafeRawBufferPointer) throws(FrameProblem) -> Progress {
    while true {
      switch step {
      case .magic:
        guard bytes.count >= 4 else { return .needs(4) }
        guard let kind = FrameKind(magic: bytes.littleEndian(UInt32.self, at: 0)) else {
          throw FrameProblem(problem: "no frame begins here")
        }
        shape.kind = kind
        if kind == .block {
          step = .frameHeader
        } else {
          guard bytes.count >= 8 else { return .needs(8) }
          let size = bytes.littleEndian(UInt32.self, at: 4)
          guard size <= UInt32(kind.limit) else {
            throw FrameProblem(problem: "a frame of \(size) bytes; the limit is \(kind.limit)")
          }
          shape.contentSize = Int(size)
          shape.length = 8 + Int(size)
          step = .rest
        }
      case .frameHeader:
        if let needed = try frameHeader(bytes) { return .needs(needed) }
      case .zstdBlock:
        if let needed = try zstdBlock(bytes) { return .needs(needed) }
      case .checksum:
        guard shape.contentSize <= reach else {
          throw FrameProblem(
            problem: "a block claims \(shape.contentSize) bytes, but cannot hold more than \(reach)"
          )
        }
        shape.length = position + 4
        step = .rest
      case .rest:
        guard bytes.count >= shape.length else { return .needs(shape.length) }
        return .complete(shape)
      }
    }
  }

  /// - Returns: how many bytes are needed; nil when the header is done.
  private mutating func frameHeader(_ bytes: UnsafeRawBufferPointer) throws(FrameProblem) -> Int? {
    guard bytes.count >= 5 else { return 5 }
    let descriptor = bytes[4]
    let isSingleSegment = descriptor & 0x20 != 0
    let sizeFlag = descriptor >> 6
    guard descriptor & 0x04 != 0 else { throw FrameProblem(problem: "a block without checksum") }
    guard descriptor & 0x03 == 0 else { throw FrameProblem(problem: "a block with a dictionary") }
    guard descriptor & 0x08 == 0 else { throw FrameProblem(problem: "a reserved bit is set") }
    guard isSingleSegment || sizeFlag != 0 else {
      throw FrameProblem(problem: "a block without content size")
    }
    let start = isSingleSegment ? 5 : 6
    let width = 1 << Int(sizeFlag)
    guard bytes.count >= start + width else { return start + width }
    let size: UInt64 =
      switch sizeFlag {
      case 0: UInt64(bytes[start])
      case 1: UInt64(bytes.littleEndian(UInt16.self, at: start)) + 256
      case 2: UInt64(bytes.littleEndian(UInt32.self, at: start))
      default: bytes.littleEndian(UInt64.self, at: start)
      }
    guard size <= UInt64(FrameKind.block.limit) else {
      throw FrameProblem(
        problem: "a block that claims \(size) bytes; the limit is \(FrameKind.block.limit)")
    }
    guard size > 0 else { throw FrameProblem(problem: "an empty block") }
    shape.contentSize = Int(size)
    position = start + width
    step = .zstdBlock
    return nil
  }

  /// - Returns: how many bytes are needed; nil when a block was passed.
  private mutating func zstdBlock(_ bytes: UnsafeRawBufferPointer) throws(FrameProblem) -> Int? {
    guard bytes.count >= position + 3 else { return position + 3 }
    let field =
      UInt32(bytes[position]) | UInt32(bytes[position + 1]) << 8 | UInt32(bytes[position + 2]) << 16
    let size = Int(field >> 3)
    let kind = (field >> 1) & 3
    guard kind != 3, size <= 128 << 10 else {
      throw FrameProblem(problem: "not a valid zstd block")
    }
    // Kinds: 0 as it is, 1 one byte repeated, 2 compressed.
    reach += kind == 2 ? 128 << 10 : size
    position += 3 + (kind == 1 ? 1 : size)
    guard position <= shape.contentSize + shape.contentSize / 32 + 4096 else {
      throw FrameProblem(problem: "a block that is longer than its content")
    }
    if field & 1 != 0 { step = .checksum }
    return nil
  }
}
