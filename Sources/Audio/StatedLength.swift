import Base
import Glibc

/// Sizes from here on mean "not known" in a header of 32 bits: writers to a pipe put 2,000,000,000
/// (the official package), 0x7FFFFFFF or 0xFFFFFFFF there.
private let unknownLength = 2_000_000_000

/// Refuses a WAV (RIFF or RF64) or AIFF file whose audio ends before its header says so; libsndfile
/// reads such a file without a word. Other files pass.
func checkStatedLength(_ descriptor: Int32, size: Int, path: String) throws {
  func bytes(_ count: Int, at offset: Int) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: count)
    let got = buffer.withUnsafeMutableBytes {
      pread(descriptor, $0.baseAddress, count, off_t(offset))
    }
    return got == count ? buffer : nil
  }
  func text(_ bytes: ArraySlice<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }
  guard let start = bytes(12, at: 0) else { return }
  let (kind, form) = (text(start[0..<4]), text(start[8..<12]))
  let isWAV = ["RIFF", "RF64"].contains(kind) && form == "WAVE"
  guard isWAV || kind == "FORM" && ["AIFF", "AIFC"].contains(form) else { return }
  // RF64 has the size of its audio in a chunk before it.
  var largeLength: UInt64?
  var offset = 12
  for _ in 0..<1000 {
    guard let chunk = bytes(8, at: offset) else { return }
    let digits = isWAV ? Array(chunk[4..<8].reversed()) : Array(chunk[4..<8])
    var length = digits.reduce(0) { $0 << 8 | Int($1) }
    switch text(chunk[0..<4]) {
    case "ds64" where kind == "RF64":
      largeLength = bytes(8, at: offset + 16)?.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    case isWAV ? "data" : "SSND":
      if length == 0xFFFF_FFFF, let largeLength, let large = Int(exactly: largeLength) {
        length = large
      } else if length >= unknownLength {
        return
      }
      let present = size - offset - 8
      if length > present {
        throw Failure.audioCutShort(
          path, detail: "\(present) of \(length) bytes of audio are there")
      }
      return
    default: break
    }
    offset += 8 + length + length % 2
  }
}
