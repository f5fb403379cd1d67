import Base
import Foundation
import Glibc
import Safetensors
import TestSupport
import Testing

@testable import Records

/// Every parser of this module and of those below it on damaged input; see `fuzz`.
@Suite struct FuzzTests {
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
    try parseSaved("json", parseJSON)
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
    try parseSaved("safetensors", parseSafetensors)
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
    try parseSaved("stream", parseStream)
    try parseSaved("stream", parseFile)
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

  @Test func manifests() throws {
    var manifest = ShardManifest(stage: "x", from: .zero)
    manifest.split = "train"
    manifest.splits = ["train", "valid"]
    manifest.files = (0..<2).map {
      .init(name: "\($0).ttsr", bytes: 900, tally: Tally(), digests: [.zero])
    }
    let folder = try ScratchFolder()
    try fuzz("manifest", [manifest.json.canonicalBytes], rounds: 500) {
      _ = try ShardManifest(path: folder.write($0, to: "manifest.json")).tally
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
