import Base
import Glibc

/// Data sizes from here on mean "not known" in a WAV header: writers to a pipe put 2,000,000,000 (the
/// official package), 0x7FFFFFFF or 0xFFFFFFFF there.
let unknownWAVLength = 2_000_000_000

/// Refuses a WAV file whose audio ends before its header says so; libsndfile reads such a file
/// without a word. Other files pass.
func checkWAVLength(_ descriptor: Int32, size: Int, path: String) throws {
  func bytes(_ count: Int, at offset: Int) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: count)
    let got = buffer.withUnsafeMutableBytes {
      pread(descriptor, $0.baseAddress, count, off_t(offset))
    }
    return got == count ? buffer : nil
  }
  guard let start = bytes(12, at: 0), start[0..<4].elementsEqual("RIFF".utf8),
    start[8..<12].elementsEqual("WAVE".utf8)
  else { return }
  var offset = 12
  for _ in 0..<1000 {
    guard let chunk = bytes(8, at: offset) else { return }
    let length = chunk[4..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    guard !chunk[0..<4].elementsEqual("data".utf8) else {
      let present = size - offset - 8
      if length > present, length < unknownWAVLength {
        throw Failure.audioCutShort(
          path, detail: "\(present) of \(length) bytes of audio are there")
      }
      return
    }
    offset += 8 + length + length % 2
  }
}
