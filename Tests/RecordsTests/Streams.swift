import Base
import Foundation
import Glibc
import Records
import Safetensors

/// Makes streams for tests.
enum Streams {
  /// A folder that goes when the body ends.
  static func withFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
    let path = FileManager.default.temporaryDirectory.path + "/ttsr-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try body(path)
  }

  static let header = StreamHeader().appending(
    Stage(tool: "tts-import", version: 1, parameters: ["format": "auto"])
  ).appending(Stage(tool: "tts-resample", version: 2, models: ["kernel": "abc"]))

  /// A record of any shape.
  static func randomRecord(_ index: Int, _ random: inout RandomNumbers, size: Int) -> Record {
    var record = Record(id: "corpus/\(index)")
    record.text = ["Hello there.", "Ça va ? \"Oui\"\n", "日本語 😀", ""][random.index(below: 4)]
    if random.index(below: 2) == 0 { record.speaker = "s\(random.index(below: 3))" }
    switch random.index(below: 4) {
    case 0:
      let channels = 1 + random.index(below: 2)
      let count = random.index(below: size)
      record.setAudio(
        (0..<channels).map { _ in random.normal(count) },
        rate: [8000, 24000][random.index(below: 2)],
        type: random.index(below: 2) == 0 ? .f32 : .i16)
    case 1:
      let frames = random.index(below: size / 32 + 1)
      record.arrays["latents"] = ArrayData(random.normal(frames * 32), shape: [frames, 32])
      record.frameRate = 12.5
    case 2:
      record.arrays["tokens"] = ArrayData((0..<random.index(below: 60)).map { Int32($0 * 7) })
      record.arrays["features.x"] = ArrayData(
        [UInt8](repeating: UInt8(index & 0xFF), count: random.index(below: size)))
      record.arrays["double"] = ArrayData([1.5, -2.25] as [Double], shape: [1, 2])
      record.arrays["nothing"] = ArrayData([] as [Int64], shape: [0, 3])
      record.arrays["one"] = ArrayData([3] as [Float], shape: [])
    default: record.reject("tts-vad: nothing but silence")
    }
    return record
  }

  static func randomRecords(_ count: Int, seed: UInt64, size: Int = 2000) -> [Record] {
    var random = RandomNumbers(seed: seed, name: "records")
    return (0..<count).map { randomRecord($0, &random, size: size) }
  }

  /// A stream file; returns its bytes.
  @discardableResult
  static func write(
    _ records: [Record], to path: String, header: StreamHeader = header, level: Int = 3,
    from: SHA256Digest? = nil
  ) throws -> [UInt8] {
    let writer = try RecordWriter(file: AtomicFile(path: path), header: header, level: level)
    for record in records { try writer.write(record) }
    try writer.finish(from: from)
    return try bytes(of: path)
  }

  static func bytes(of path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: path)))
  }

  /// All records of a file.
  static func read(_ path: String) throws -> (records: [Record], trailers: [Trailer]) {
    let reader = try RecordReader(path: path)
    var records: [Record] = []
    while let record = try reader.next() { records.append(record) }
    return (records, reader.trailers)
  }

  /// All records of some bytes, from memory.
  static func read(_ bytes: [UInt8]) throws -> (records: [Record], trailers: [Trailer]) {
    let descriptor = open("/dev/shm", O_RDWR | O_DIRECTORY | 0o20000000, 0o600)  // O_TMPFILE
    defer { close(descriptor) }
    _ = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    lseek(descriptor, 0, SEEK_SET)
    let reader = try RecordReader(descriptor: descriptor, path: "memory")
    var records: [Record] = []
    while let record = try reader.next() { records.append(record) }
    return (records, reader.trailers)
  }
}
