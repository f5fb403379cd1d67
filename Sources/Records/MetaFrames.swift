import Base

/// The skippable frames that hold header and trailer: magic text, (version,) canonical JSON, checksum.
enum MetaFrame {
  static let headerMagic = Array("ttsr".utf8)
  static let trailerMagic = Array("ttse".utf8)

  static func frame(_ header: StreamHeader) -> [UInt8] {
    var content = headerMagic
    content.appendLittleEndian(StreamHeader.formatVersion)
    header.json.appendCanonical(to: &content)
    return frame(.header, content)
  }

  static func frame(_ trailer: Trailer) -> [UInt8] {
    var content = trailerMagic
    trailer.json.appendCanonical(to: &content)
    return frame(.trailer, content)
  }

  private static func frame(_ kind: FrameKind, _ content: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(content.count + 12)
    bytes.appendLittleEndian(kind.magic)
    bytes.appendLittleEndian(UInt32(content.count + 4))
    bytes.append(contentsOf: content)
    bytes.appendLittleEndian(content.withUnsafeBytes { checksum($0) })
    return bytes
  }

  /// What a header frame is found to be.
  enum HeaderContent {
    case header(StreamHeader)
    case newerVersion(UInt32)
  }

  /// The header in a whole frame.
  static func header(in frame: UnsafeRawBufferPointer) throws(FrameProblem) -> HeaderContent {
    let content = try checked(frame, magic: headerMagic, what: "header")
    guard content.count >= 4 else { throw FrameProblem(problem: "a header without version") }
    let version = content.littleEndian(UInt32.self, at: 0)
    guard version <= StreamHeader.formatVersion else { return .newerVersion(version) }
    guard version == StreamHeader.formatVersion else {
      throw FrameProblem(problem: "format version \(version), which never was")
    }
    let json = try json(content.piece(4..<content.count), what: "header")
    guard let header = StreamHeader(json) else {
      throw FrameProblem(problem: "the header lacks a part, or has an impossible one")
    }
    return .header(header)
  }

  /// The trailer in a whole frame.
  static func trailer(in frame: UnsafeRawBufferPointer) throws(FrameProblem) -> Trailer {
    let content = try checked(frame, magic: trailerMagic, what: "trailer")
    guard let trailer = Trailer(try json(content, what: "trailer")) else {
      throw FrameProblem(problem: "the trailer lacks a part, or has an impossible one")
    }
    return trailer
  }

  /// The content of a frame between magic text and checksum.
  private static func checked(
    _ frame: UnsafeRawBufferPointer, magic: [UInt8], what: String
  ) throws(FrameProblem) -> UnsafeRawBufferPointer {
    guard frame.count >= 16, frame.piece(8..<12).elementsEqual(magic) else {
      throw FrameProblem(problem: "not a \(what) of a record stream")
    }
    let end = frame.count - 4
    guard frame.littleEndian(UInt32.self, at: end) == checksum(frame.piece(8..<end)) else {
      throw FrameProblem(problem: "the \(what)'s checksum is wrong")
    }
    return frame.piece(12..<end)
  }

  private static func json(
    _ content: UnsafeRawBufferPointer, what: String
  ) throws(FrameProblem) -> JSON {
    let json: JSON
    do {
      json = try content.withMemoryRebound(to: UInt8.self) { bytes throws(Failure) in
        try JSON.parse(bytes, depth: 16)
      }
    } catch {
      throw FrameProblem(problem: "the \(what) is no valid JSON: \(error.problem)")
    }
    guard json.canonicalBytes.elementsEqual(content) else {
      throw FrameProblem(problem: "the \(what) is not in canonical form")
    }
    return json
  }
}
