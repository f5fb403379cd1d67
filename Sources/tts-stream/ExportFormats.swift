import Base
import Filters
import Safetensors

/// A tar file (POSIX, pax headers for long names), the same bytes for the same members.
struct TarWriter {
  private let output: ByteOutput

  init(_ output: ByteOutput) { self.output = output }

  /// Adds a member.
  mutating func add(_ name: String, _ content: [UInt8]) throws {
    if name.utf8.count > 100 {
      // A pax record states its own length, the digits of it included.
      let body = " path=\(name)\n"
      var length = body.utf8.count
      while String(length).utf8.count + body.utf8.count != length {
        length = String(length).utf8.count + body.utf8.count
      }
      try member("pax-header", Array("\(length)\(body)".utf8), kind: "x")
    }
    try member(name, content, kind: "0")
  }

  /// Ends the file.
  func finish() throws { try output.write([UInt8](repeating: 0, count: 1024)) }

  private func member(_ name: String, _ content: [UInt8], kind: String) throws {
    var header = [UInt8](repeating: 0, count: 512)
    func put(_ text: String, at place: Int) {
      for (index, byte) in text.utf8.enumerated() { header[place + index] = byte }
    }
    func octal(_ value: Int, _ width: Int) -> String {
      let digits = String(value, radix: 8)
      return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    for (index, byte) in name.utf8.prefix(100).enumerated() { header[index] = byte }
    put(octal(0o644, 7), at: 100)
    put(octal(0, 7), at: 108)
    put(octal(0, 7), at: 116)
    put(octal(content.count, 11), at: 124)
    put(octal(0, 11), at: 136)
    put("        ", at: 148)
    put(kind, at: 156)
    put("ustar\u{0}00", at: 257)
    let sum = header.reduce(0) { $0 + Int($1) }
    put(octal(sum, 6) + "\u{0} ", at: 148)
    try output.write(header)
    try output.write(content)
    let rest = content.count % 512
    if rest > 0 { try output.write([UInt8](repeating: 0, count: 512 - rest)) }
  }
}

/// An array as NumPy's file format, version 1.0; BF16 as the 16-bit integers of its bits.
func numpyFile(_ array: ArrayData) -> [UInt8] {
  let type =
    switch array.type {
    case .f64: "<f8"
    case .f32: "<f4"
    case .f16: "<f2"
    case .bf16, .u16: "<u2"
    case .i64: "<i8"
    case .i32: "<i4"
    case .i16: "<i2"
    case .i8: "|i1"
    case .u64: "<u8"
    case .u32: "<u4"
    case .u8: "|u1"
    case .bool: "|b1"
    }
  let shape = array.shape.map { "\($0)," }.joined(separator: " ")
  var text = "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(shape)), }"
  while (10 + text.utf8.count + 1) % 64 != 0 { text += " " }
  text += "\n"
  let length = UInt16(clamping: text.utf8.count)
  return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(length & 0xFF), UInt8(length >> 8)]
    + Array(text.utf8) + array.bytes
}

/// A WAV file of 32-bit floats, in memory.
func floatWAV(_ channels: [[Float]], rate: Int) -> [UInt8] {
  let (width, count) = (channels.count, channels.first?.count ?? 0)
  var samples = [Float](repeating: 0, count: width * count)
  for (channel, values) in channels.enumerated() {
    for (index, value) in values.enumerated() { samples[index * width + channel] = value }
  }
  let size = samples.count * 4
  var bytes: [UInt8] = []
  func put(_ text: String) { bytes += Array(text.utf8) }
  func put(_ value: Int, _ size: Int) {
    let value = UInt32(clamping: value)
    for index in 0..<size { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
  }
  put("RIFF")
  put(50 + size, 4)
  put("WAVEfmt ")
  put(18, 4)
  put(3, 2)
  put(width, 2)
  put(rate, 4)
  put(rate * width * 4, 4)
  put(width * 4, 2)
  put(32, 2)
  put(0, 2)
  put("fact")
  put(4, 4)
  put(count, 4)
  put("data")
  put(size, 4)
  samples.withUnsafeBytes { bytes.append(contentsOf: $0) }
  return bytes
}
