import Audio
import Base
import Foundation
import TestSupport
import Testing

struct FileTests {
  let scratch: Scratch
  init() throws { scratch = try Scratch() }

  private func write(
    _ name: String, _ format: AudioFileWriter.Format, rate: Int, _ channels: [[Float]]
  ) throws -> String {
    let path = scratch.file(name)
    let writer = try AudioFileWriter(
      path: path, format: format, rate: rate, channels: channels.count)
    try writer.write(channels)
    try writer.finish()
    return path
  }

  @Test(arguments: AudioFileWriter.Format.allCases, [1, 2])
  func everyFormatIsRead(format: AudioFileWriter.Format, channels: Int) throws {
    let rate = format == .mp3 ? 22050 : 24000
    let sound = (0..<channels).map { sine(300 + 200 * Double($0), rate: rate, count: rate) }
    let file = try AudioFile(path: try write("a", format, rate: rate, sound))
    #expect(file.rate == rate && file.channels == channels)
    let read = try file.readAll()
    let length = read[0].count
    switch format {
    case .wavFloat: #expect(read == sound)
    case .wav16, .wav24, .flac:
      #expect(length == rate)
      #expect(largestDifference(read[0], sound[0]) < 1 / 32768)
    case .vorbis, .opus:
      #expect(length == rate)
      #expect(largestDifference(Array(read[0][4000..<20000]), Array(sound[0][4000..<20000])) < 0.2)
    case .mp3: #expect(abs(length - rate) < 3000)
    }
  }

  @Test(arguments: AudioFileWriter.Format.allCases)
  func piecesAreTheWhole(format: AudioFileWriter.Format) throws {
    let sound = [noise(50_000).map { $0 / 2 }, sine(440, rate: 48000, count: 50_000)]
    let path = try write("a", format, rate: 48000, sound)
    let whole = try AudioFile(path: path).readAll()
    let file = try AudioFile(path: path)
    var read: [[Float]] = [[], []]
    for size in [1, 100, 30_000, 7, 1 << 20] {
      let piece = try file.read(maxFrames: size)
      #expect(piece[0].count <= size && piece[0].count == piece[1].count)
      for channel in 0..<2 { read[channel] += piece[channel] }
    }
    #expect(read == whole)
    #expect(try file.read(maxFrames: 10) == [[], []])
  }

  @Test func sixteenBitsAreScaledExactly() throws {
    let values: [Float] = [-1, -0.5, 0, 1 / 32768, 0.5, 32767 / 32768]
    #expect(try AudioFile(path: try write("a", .wav16, rate: 8000, [values])).readAll() == [values])
  }

  @Test func seekingGivesTheSameSamples() throws {
    let sound = noise(30_000)
    for format in [AudioFileWriter.Format.wavFloat, .flac, .vorbis] {
      let path = try write("a", format, rate: 16000, [sound])
      let whole = try AudioFile(path: path).readAll()[0]
      let file = try AudioFile(path: path)
      try file.seek(to: 12_345)
      #expect(try file.read(maxFrames: 1000)[0] == Array(whole[12_345..<13_345]))
    }
  }

  @Test func wrongFilesAreNamed() throws {
    func failure(_ bytes: [UInt8]?, _ name: String) throws -> Failure? {
      let path = scratch.file(name)
      if let bytes { try Data(bytes).write(to: URL(filePath: path)) }
      do {
        _ = try AudioFile(path: path).readAll()
        return nil
      } catch let failure as Failure {
        #expect(failure.subject == path)
        return failure
      }
    }
    #expect(try failure(nil, "missing.wav")?.kind == .noInput)
    #expect(try failure([], "empty.wav")?.kind == .badInput)
    for name in ["text.wav", "text.gsm", "text.vox", "text.mp3", "text.au", "text.raw"] {
      let text = Array(String(repeating: "These are words, not sound.\n", count: 400).utf8)
      #expect(try failure(text, name)?.kind == .badInput)
    }
    #expect(throws: Failure.self) { _ = try AudioFile(path: scratch.path) }
    #expect(throws: Failure.self) { _ = try AudioFile(path: "/dev/zero") }
    for format in [AudioFileWriter.Format.wav16, .wavFloat, .flac] {
      let bytes = [UInt8](
        try Data(
          contentsOf: URL(filePath: try write("whole", format, rate: 16000, [noise(40_000)]))))
      let cut = try failure(Array(bytes[..<(bytes.count / 2)]), "cut-\(format)")
      #expect(cut?.kind == .badInput, "\(format)")
    }
  }

  /// Chunks of a WAV (RIFF, RF64) or AIFF file.
  private func chunks(_ kind: String, _ form: String, _ chunks: [(String, [UInt8])]) -> [UInt8] {
    func size(_ number: Int) -> [UInt8] {
      let bytes = withUnsafeBytes(of: UInt32(clamping: number).littleEndian) { Array($0) }
      return kind == "FORM" ? bytes.reversed() : bytes
    }
    let body = chunks.flatMap { name, content in
      Array(name.utf8) + size(content.count) + content
    }
    return Array(kind.utf8) + size(body.count + 4) + Array(form.utf8) + body
  }

  private func number<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    withUnsafeBytes(of: value) { Array($0) }
  }

  /// 16-bit mono at 24 kHz: RF64 that states how many bytes of audio it holds, and AIFF likewise.
  private func largeWAV(claiming length: UInt64, samples: Int = 1000) -> [UInt8] {
    let shape =
      number(UInt16(1)) + number(UInt16(1)) + number(UInt32(24000)) + number(UInt32(48000))
      + number(UInt16(2)) + number(UInt16(16))
    var bytes = chunks(
      "RF64", "WAVE",
      [
        ("ds64", number(length) + number(length) + number(length / 2) + number(UInt32(0))),
        ("fmt ", shape), ("data", [UInt8](repeating: 0, count: samples * 2)),
      ])
    // The sizes of 32 bits say that the others count.
    let data = bytes.count - samples * 2 - 4
    for place in [4..<8, data..<data + 4] { bytes.replaceSubrange(place, with: number(UInt32.max)) }
    return bytes
  }

  private func aiff(claiming frames: UInt32, samples: Int = 1000) -> [UInt8] {
    let rate: [UInt8] = [0x40, 0x0D, 0xBB, 0x80, 0, 0, 0, 0, 0, 0]  // 24000 as 80 bits
    let shape =
      number(UInt16(1).bigEndian) + number(frames.bigEndian) + number(UInt16(16).bigEndian) + rate
    var bytes = chunks(
      "FORM", "AIFF",
      [("COMM", shape), ("SSND", [UInt8](repeating: 0, count: 8 + samples * 2))])
    let data = bytes.count - samples * 2 - 12
    bytes.replaceSubrange(data..<data + 4, with: number((frames * 2 + 8).bigEndian))
    return bytes
  }

  @Test func lengthsThatAreNotThereAreRefused() throws {
    func read(_ bytes: [UInt8], _ name: String) throws -> Int {
      let path = scratch.file(name)
      try Data(bytes).write(to: URL(filePath: path))
      return try AudioFile(path: path).readAll()[0].count
    }
    #expect(try read(largeWAV(claiming: 2000), "a.wav") == 1000)
    #expect(try read(aiff(claiming: 1000), "a.aiff") == 1000)
    for length: UInt64 in [2001, 1 << 60, .max / 2] {
      #expect { try read(largeWAV(claiming: length), "b.wav") } throws: {
        ($0 as? Failure)?.problem.hasPrefix("the audio is cut short") == true
      }
    }
    for frames: UInt32 in [1001, 900_000_000] {
      #expect { try read(aiff(claiming: frames), "b.aiff") } throws: {
        ($0 as? Failure)?.problem.hasPrefix("the audio is cut short") == true
      }
    }
  }

  @Test func damagedFilesDoNoHarm() throws {
    let sound = [noise(3000).map { $0 / 2 }]
    var seeds = [largeWAV(claiming: 2000), aiff(claiming: 1000)]
    // The MP3 decoder has words of its own for stderr.
    for format in AudioFileWriter.Format.allCases where format != .mp3 {
      let path = try write("seed", format, rate: 24000, sound)
      seeds.append([UInt8](try Data(contentsOf: URL(filePath: path))))
    }
    let path = scratch.file("x")
    try fuzz("audio", seeds, rounds: 1000) {
      try Data($0).write(to: URL(filePath: path))
      let file = try AudioFile(path: path)
      // Silence packs well: what a header promises is not read to its end.
      for _ in 0..<16 where try !file.read(maxFrames: 1 << 16)[0].isEmpty {}
    }
    let flac = try FLAC.encode(sound, rate: 24000)
    try fuzz("flac", [flac], rounds: 500) { _ = try FLAC.decode($0) }
  }

  @Test func headersWithoutLengthAreRead() throws {
    let path = scratch.file("pipe.wav")
    // What a pipe gets: opened for appending, the header cannot be corrected.
    let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND, 0o644)
    var writer = WAVWriter(descriptor: descriptor, path: path, rate: 24000)
    try writer.write(sine(100, rate: 24000, count: 1000))
    try writer.finish()
    close(descriptor)
    let bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
    #expect(bytes[4..<8].elementsEqual(withUnsafeBytes(of: UInt32.max) { Array($0) }))
    #expect(bytes[40..<44].elementsEqual(withUnsafeBytes(of: UInt32.max) { Array($0) }))
    #expect(bytes.count == 2044)
    #expect(try AudioFile(path: path).readAll()[0].count == 1000)
  }

  @Test(arguments: [WAVWriter.Encoding.int16, .float32])
  func writtenWAVIsReadBack(encoding: WAVWriter.Encoding) throws {
    let path = scratch.file("out.wav")
    let sound = [noise(5000).map { $0 * 1.5 }, noise(5000, seed: 2)]
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    var writer = WAVWriter(
      descriptor: descriptor, path: path, rate: 16000, channels: 2, encoding: encoding)
    try writer.write(sound.map { Array($0[..<100]) })
    try writer.write(sound.map { Array($0[100...]) })
    try writer.finish()
    close(descriptor)
    let read = try AudioFile(path: path).readAll()
    let expected =
      encoding == .float32
      ? sound : sound.map { int16TowardZero($0).map { Float($0) / 32768 } }
    #expect(read == expected)
  }

  @Test func sixteenBitRounding() {
    #expect(
      int16TowardZero([1, -1, 2, -2, 0.99999, -0.00004, 0]) == [
        32767, -32767, 32767, -32767, 32766, -1, 0,
      ])
    #expect(int16Nearest([1, -1, 2, -2, 0.5, .nan]) == [32767, -32768, 32767, -32768, 16384, 0])
  }

  @Test func memoryFLACKeepsSixteenBits() throws {
    for channels in [1, 2] {
      let sound = (0..<channels).map { channel in
        int16Nearest(noise(20_001, seed: UInt64(channel + 1))).map { Float($0) / 32768 }
      }
      let bytes = try FLAC.encode(sound, rate: 24000)
      let back = try FLAC.decode(bytes)
      #expect(back.channels == sound && back.rate == 24000)
      #expect(try FLAC.encode(sound, rate: 24000) == bytes)
      #expect(throws: Failure.self) { _ = try FLAC.decode(Array(bytes[..<(bytes.count / 2)])) }
      for offset in stride(from: 0, to: bytes.count, by: bytes.count / 50) {
        var damaged = bytes
        damaged[offset] ^= 0xFF
        _ = try? FLAC.decode(damaged)
      }
    }
    #expect(throws: Failure.self) { _ = try FLAC.decode(Array("RIFF".utf8)) }
    #expect(throws: Failure.self) { _ = try FLAC.encode([[]], rate: 8000) }
  }

  @Test func monoIsTheMean() {
    #expect(mono([[1, 2, 3], [3, 2, -3]]) == [2, 2, 0])
    #expect(mono([[1, 2]]) == [1, 2])
    #expect(mono([]) == [])
  }
}
