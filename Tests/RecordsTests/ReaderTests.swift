import Base
import Foundation
import Records
import Safetensors
import TestSupport
import Testing

/// A reader in another language, written from `man/ttsr.5`, against our writer.
@Suite struct ReaderTests {
  private func python(_ path: String) throws -> ProcessResult {
    try RunningProcess("python3", ["\(packageFolder)/Tests/Readers/read_ttsr.py", path]).wait()
  }

  @Test func thePythonReaderReadsOurStreams() throws {
    let folder = try ScratchFolder()
    let records = Streams.randomRecords(40, seed: 8)
    let big = Streams.randomRecords(200, seed: 9, size: 60_000)
    let path = folder.file("a.ttsr")
    let bytes =
      try Streams.write(records, to: path) + (try Streams.write([], to: path))
      + (try Streams.write(big, to: path, header: StreamHeader()))
    try folder.write(bytes, to: "a.ttsr")
    let result = try python(path)
    #expect(result.code == 0, "\(result.errors)")
    let lines = result.text.split(separator: "\n")
    #expect(lines.count == 240)
    for (line, record) in zip(lines, records + big) {
      let found = try JSON.parse(text: String(line))
      var expected: [String: JSON] = [:]
      for (name, array) in record.arrays {
        expected[name] = [
          "dtype": .string(array.type.rawValue),
          "shape": .array(array.shape.map { .integer(Int64($0)) }),
          "sha256": .string(SHA256Digest(of: array.bytes).description),
        ]
      }
      let isSame = found == ["texts": JSON(record.metadata), "arrays": .object(expected)]
      #expect(isSame, "\(record.id)")
    }
  }

  @Test func itRefusesWhatWeRefuse() throws {
    let folder = try ScratchFolder()
    let path = folder.file("a.ttsr")
    var bytes = try Streams.write(Streams.randomRecords(5, seed: 8), to: path)
    try folder.write(Array(bytes.dropLast(100)), to: "cut.ttsr")
    #expect(try python(folder.file("cut.ttsr")).code != 0)
    bytes[bytes.count / 3] ^= 4
    try folder.write(bytes, to: "flipped.ttsr")
    #expect(try python(folder.file("flipped.ttsr")).code != 0)
  }
}
