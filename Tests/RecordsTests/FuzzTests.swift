import Base
import Foundation
import Glibc
import Safetensors
import TestSupport
import Testing

@testable import Records

/// Every parser on damaged input: it may refuse, with a failure of the right kind, and do nothing else.
///
/// Short and always the same in ordinary runs; `TTS_FUZZ_SECONDS=60` goes on for so long with each
/// parser, from another seed each time, and leaves the input that it is at in `TTS_FUZZ_FOLDER`
/// (default: the temporary folder), so that a crash can be kept in `Tests/Fuzz`.
@Suite struct FuzzTests {
  private static let seconds =
    ProcessInfo.processInfo.environment["TTS_FUZZ_SECONDS"].flatMap { Double($0) }
  private static let folder =
    ProcessInfo.processInfo.environment["TTS_FUZZ_FOLDER"]
    ?? FileManager.default.temporaryDirectory.path

  private func fuzz(
    _ name: String, _ seeds: [[UInt8]], rounds: Int, _ parse: ([UInt8]) throws -> Void
  ) throws {
    let start = Date()
    var random = RandomNumbers(
      seed: Self.seconds == nil ? 1 : UInt64(start.timeIntervalSince1970), name: name)
    var round = 0
    while Self.seconds.map({ Date().timeIntervalSince(start) < $0 }) ?? (round < rounds) {
      round += 1
      let input = mutated(seeds[random.index(below: seeds.count)], seeds, &random)
      if Self.seconds != nil {
        try Data(input).write(to: URL(fileURLWithPath: "\(Self.folder)/fuzz-\(name)"))
      }
      try accept(name, input, parse)
    }
  }

  private func accept(_ name: String, _ input: [UInt8], _ parse: ([UInt8]) throws -> Void) throws {
    do {
      try parse(input)
    } catch let failure as Failure {
      let isExpected = [.badInput, .unsupportedFormat].contains(failure.kind)
      if !isExpected {
        Issue.record("\(name): \(failure) for \(Array(input.prefix(2000)).hexadecimal)")
      }
    }
  }

  private func mutated(
    _ seed: [UInt8], _ seeds: [[UInt8]], _ random: inout RandomNumbers
  ) -> [UInt8] {
    var bytes = seed
    for _ in 0...random.index(below: 4) {
      guard !bytes.isEmpty else { return bytes }
      let place = random.index(below: bytes.count)
      switch random.index(below: 7) {
      case 0: bytes[place] ^= 1 << UInt8(random.index(below: 8))
      case 1: bytes[place] = [0, 0xFF, 0x7F, 0x80, 0x22, 0x5B, 0x7B][random.index(below: 7)]
      case 2: bytes.removeSubrange(place..<min(bytes.count, place + random.index(below: 40)))
      case 3: bytes = Array(bytes[..<place])
      case 4:
        let piece = bytes[place..<min(bytes.count, place + random.index(below: 60))]
        bytes.insert(contentsOf: Array(piece), at: random.index(below: bytes.count))
      case 5:
        let other = seeds[random.index(below: seeds.count)]
        bytes = Array(bytes[..<place]) + Array(other[random.index(below: max(1, other.count))...])
      default:
        let value = [UInt64.max, 1 << 60, 1 << 31, 1 << 16, 1][random.index(below: 5)]
        withUnsafeBytes(of: value) { number in
          for (offset, byte) in number.enumerated() where place + offset < bytes.count {
            bytes[place + offset] = byte
          }
        }
      }
    }
    return bytes
  }

  private func savedInputs(_ name: String) throws -> [[UInt8]] {
    let path = "\(packageFolder)/Tests/Fuzz/\(name)"
    return try FileManager.default.contentsOfDirectory(atPath: path).sorted().map {
      Array(try Data(contentsOf: URL(fileURLWithPath: "\(path)/\($0)")))
    }
  }

  private func parseJSON(_ bytes: [UInt8]) throws {
    let value = try JSON.parse(bytes)
    let again = try JSON.parse(value.canonicalBytes)
    #expect(again == value)
  }

  @Test func json() throws {
    let seeds = [
      #"{"a":[1,2.5,-3e-7,true,null],"é\u00e9\ud83d\ude00":"x\n\\","b":{"c":[]}}"#,
      #"[[[1]],"\u0000",{"k":{"k":{}}},12345678901234567890,0.1]"#,
    ].map { Array($0.utf8) }
    for input in try savedInputs("json") { try accept("json", input, parseJSON) }
    try fuzz("json", seeds, rounds: 5000, parseJSON)
  }

  private func parseSafetensors(_ bytes: [UInt8]) throws {
    let folder = try ScratchFolder()
    let path = try folder.write(bytes, to: "x")
    let file = try SafetensorsFile(path: path)
    for name in file.names { _ = try file.array(name) }
  }

  @Test func safetensors() throws {
    let seeds = Streams.randomRecords(12, seed: 3, size: 50).map {
      SafetensorsBlob(arrays: $0.arrays, metadata: $0.metadata).encoded()
    }
    for input in try savedInputs("safetensors") {
      try accept("safetensors", input, parseSafetensors)
    }
    try fuzz("safetensors", seeds, rounds: 500, parseSafetensors)
    try fuzz("blob", seeds, rounds: 5000) { bytes in
      let record = try Record(encoded: bytes)
      #expect(try record.encoded() == bytes)
    }
  }

  private func parseStream(_ bytes: [UInt8]) throws { _ = try Streams.read(bytes) }

  private func parseFile(_ bytes: [UInt8]) throws {
    let folder = try ScratchFolder()
    let path = try folder.write(bytes, to: "x")
    _ = try? Salvage(path: path, header: { _ in }, block: { _ in })
    let file = try RecordFile(path: path)
    for block in 0..<file.blockCount { _ = try file.readBlock(block) }
  }

  @Test func streams() throws {
    let seeds = try Streams.withFolder { folder in
      try (0..<4).map { index in
        try Streams.write(
          Streams.randomRecords(index * 2, seed: UInt64(index), size: 60), to: folder + "/a")
      }
    }
    for input in try savedInputs("stream") {
      try accept("stream", input, parseStream)
      try accept("file", input, parseFile)
    }
    try fuzz("stream", seeds, rounds: 2000, parseStream)
    try fuzz("file", seeds, rounds: 300, parseFile)
    // With checksums mended, so that what stands behind them is reached.
    try fuzz("mended", seeds, rounds: 2000) { try parseStream(mended($0)) }
  }

  @Test func blocks() throws {
    let seeds = try Streams.randomRecords(10, seed: 4, size: 60).map { record in
      let blob = try record.encoded()
      var content: [UInt8] = []
      content.appendLittleEndian(UInt64(blob.count))
      return content + blob
    }
    try fuzz("block", seeds, rounds: 2000) { content in
      guard !content.isEmpty else { return }
      let frame = try content.withUnsafeBytes { try Zstandard.compress($0, level: 1) }
      do {
        _ = try frame.withUnsafeBytes { try DecodedBlock(frame: $0, size: content.count) }
      } catch is BlockProblem {}
    }
  }

  /// Gives header and trailer frames the checksums that go with their content.
  private func mended(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    var offset = 0
    while offset + 8 < bytes.count {
      var scanner = FrameScanner()
      let progress = bytes.withUnsafeBytes { try? scanner.scan($0.piece(offset..<$0.count)) }
      guard case .complete(let shape)? = progress else { break }
      let end = offset + shape.length
      if shape.kind == .header || shape.kind == .trailer, shape.length >= 12 {
        let sum = bytes.withUnsafeBytes { checksum($0.piece(offset + 8..<end - 4)) }
        withUnsafeBytes(of: sum.littleEndian) {
          for index in 0..<4 { bytes[end - 4 + index] = $0[index] }
        }
      }
      offset = end
    }
    return bytes
  }
}
