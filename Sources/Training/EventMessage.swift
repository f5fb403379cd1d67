/// One protocol buffer message as it is written, field by field.
struct ProtocolBufferMessage {
  private(set) var bytes: [UInt8] = []

  private mutating func addKey(_ field: Int, wire: UInt64) {
    addVariable(UInt64(field) << 3 | wire)
  }

  private mutating func addVariable(_ value: UInt64) {
    var rest = value
    while rest > 0x7F {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  private mutating func addFixed(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func add(_ field: Int, _ value: Int) {
    addKey(field, wire: 0)
    addVariable(UInt64(bitPattern: Int64(value)))
  }

  mutating func add(_ field: Int, _ value: Double) {
    addKey(field, wire: 1)
    addFixed(value.bitPattern)
  }

  mutating func add(_ field: Int, _ value: Float) {
    addKey(field, wire: 5)
    addFixed(value.bitPattern)
  }

  mutating func add(_ field: Int, _ value: [UInt8]) {
    addKey(field, wire: 2)
    addVariable(UInt64(value.count))
    bytes += value
  }

  mutating func add(_ field: Int, _ value: String) { add(field, Array(value.utf8)) }

  mutating func add(_ field: Int, _ value: ProtocolBufferMessage) { add(field, value.bytes) }
}

/// One event of TensorBoard's event files: `tensorboard.Event` with the fields that we write.
struct EventMessage {
  enum Content {
    /// What the file is; its first event.
    case fileVersion
    /// A process begins: events of earlier files from this step on are void.
    case start
    /// Numbers by tag.
    case scalars([(tag: String, value: Float)])
    /// A WAV file by tag.
    case audio(tag: String, wav: [UInt8], rate: Int, samples: Int)
  }

  var content: Content
  var step: Int
  /// Seconds since 1970.
  var time: Double

  /// The event as a protocol buffer.
  var bytes: [UInt8] {
    var event = ProtocolBufferMessage()
    event.add(1, time)
    if step != 0 { event.add(2, step) }
    switch content {
    case .fileVersion: event.add(3, "brain.Event:2")
    case .start:
      var session = ProtocolBufferMessage()
      session.add(1, 1)
      event.add(7, session)
    case .scalars(let scalars):
      var summary = ProtocolBufferMessage()
      for (tag, number) in scalars {
        var value = ProtocolBufferMessage()
        value.add(1, tag)
        value.add(2, number)
        summary.add(1, value)
      }
      event.add(5, summary)
    case .audio(let tag, let wav, let rate, let samples):
      var audio = ProtocolBufferMessage()
      audio.add(1, Float(rate))
      audio.add(2, 1)
      audio.add(3, samples)
      audio.add(4, wav)
      audio.add(5, "audio/wav")
      var value = ProtocolBufferMessage()
      value.add(1, tag)
      value.add(6, audio)
      var summary = ProtocolBufferMessage()
      summary.add(1, value)
      event.add(5, summary)
    }
    return event.bytes
  }

  /// The event as a TFRecord: its length, then its bytes, each followed by a masked CRC-32C.
  var record: [UInt8] {
    let content = bytes
    let length = Self.littleEndian(UInt64(content.count))
    return length + Self.littleEndian(CRC32C.masked(length)) + content
      + Self.littleEndian(CRC32C.masked(content))
  }

  private static func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }
}

/// The Castagnoli checksum (RFC 3720, B.4).
enum CRC32C {
  private static let table: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { value, _ in
      value >> 1 ^ (value & 1 == 1 ? 0x82F6_3B78 : 0)
    }
  }

  static func of(_ bytes: [UInt8]) -> UInt32 {
    let table = table
    return ~bytes.reduce(~UInt32(0)) { table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] ^ $0 >> 8 }
  }

  /// As TFRecords hold it, so that a checksum of bytes that hold checksums is not one of its own.
  static func masked(_ bytes: [UInt8]) -> UInt32 {
    let value = of(bytes)
    return (value >> 15 | value << 17) &+ 0xA282_EAD8
  }
}
