import Base
import Foundation
import Safetensors
import TestSupport
import Testing

@Suite struct SafetensorsTests {
  private func file(_ header: String, _ data: [UInt8]) -> [UInt8] {
    withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Array($0) } + Array(header.utf8)
      + data
  }

  @Test func arraysAreReadAsWritten() throws {
    let folder = try ScratchFolder()
    let arrays: [String: ArrayData] = [
      "b": ArrayData([1, 2, 3] as [Float]), "a": ArrayData([4, 5] as [Float], shape: [2, 1]),
      "c": ArrayData([1] as [Int64]), "byte": ArrayData([7] as [UInt8]),
      "half": .halves([1.5, -2]), "empty": ArrayData([] as [Int32], shape: [0, 4]),
    ]
    let path = folder.file("x.safetensors")
    try writeSafetensors(arrays, metadata: ["k": "v\n"], to: path)
    let file = try SafetensorsFile(path: path)
    #expect(file.names == ["a", "b", "byte", "c", "empty", "half"])
    #expect(file.metadata == ["k": "v\n"])
    for (name, array) in arrays { #expect(try file.array(name) == array) }
    #expect(try file.floats("half") == [1.5, -2])
    #expect(file.shape(of: "a") == [2, 1] && file.type(of: "c") == .i64)
    #expect { try file.array("x") } throws: { ($0 as? Failure)?.kind == .configuration }
    let blob = try SafetensorsBlob(canonical: folder.read("x.safetensors"))
    let encoded = try folder.read("x.safetensors")
    #expect(blob.arrays == arrays && blob.encoded() == encoded)
  }

  @Test func theCanonicalFormIsFixed() throws {
    let blob = SafetensorsBlob(
      arrays: ["b": ArrayData([1, 2] as [UInt8]), "a": ArrayData([3] as [Float])],
      metadata: ["id": "x"])
    let header =
      #"{"__metadata__":{"id":"x"},"a":{"data_offsets":[0,4],"dtype":"F32","shape":[1]},"#
      + #""b":{"data_offsets":[4,6],"dtype":"U8","shape":[2]}}"#
    let padded = header + String(repeating: " ", count: (8 - header.utf8.count % 8) % 8)
    #expect(blob.encoded() == file(padded, [0, 0, 64, 64, 1, 2]))
  }

  @Test func arraysMadeOneByOneGiveTheSameFile() throws {
    let folder = try ScratchFolder()
    let arrays: [String: ArrayData] = [
      "b": .bfloats([1, 2, 3]), "a": ArrayData([4, 5] as [Float]), "c": ArrayData([1] as [Int64]),
    ]
    let metadata = ["k": "v"]
    try writeSafetensors(arrays, metadata: metadata, to: folder.file("at once"))
    let list = arrays.map { (name: $0.key, type: $0.value.type, shape: $0.value.shape) }
    var order: [String] = []
    try writeSafetensors(list, metadata: metadata, to: folder.file("in turn")) {
      name, type, write in
      let array = try #require(arrays[name])
      #expect(type == array.type)
      order.append(name)
      for byte in array.bytes { try [byte].withUnsafeBytes(write) }
    }
    #expect(order == ["c", "a", "b"])
    #expect(try folder.read("in turn") == folder.read("at once"))
    #expect(throws: CancellationError.self) {
      try writeSafetensors(list, metadata: metadata, to: folder.file("never")) { _, _, _ in
        throw CancellationError()
      }
    }
    #expect(!folder.has("never"))
  }

  /// To the nearest, halves to even, past the largest to infinity.
  @Test func bfloatsAreRounded() throws {
    let values: [(Float, UInt16)] = [
      (1, 0x3F80), (-2, 0xC000), (1 + 0x1p-8, 0x3F80), (1 + 0x1.8p-7, 0x3F82), (0x1.02p-140, 0),
      (.greatestFiniteMagnitude, 0x7F80), (-.infinity, 0xFF80),
    ]
    let bits = ArrayData.bfloats(values.map(\.0)).bytes
    for (index, value) in values.enumerated() {
      #expect(UInt16(bits[2 * index]) | UInt16(bits[2 * index + 1]) << 8 == value.1, "\(value)")
    }
    #expect(try ArrayData.bfloats([.nan, 3]).floats()[0].isNaN)
  }

  @Test func conversionsAreExact() throws {
    let bits: [UInt16] = [0x3FC0, 0xC040, 0x7F80]
    let bf16 = try ArrayData(
      type: .bf16, shape: [3], bytes: bits.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] })
    #expect(try bf16.floats() == [1.5, -3, .infinity])
    #expect(try ArrayData([-3, 7] as [Int16]).floats() == [-3, 7])
    #expect(try ArrayData([-3, 7] as [Int16]).int32s() == [-3, 7])
    #expect(try ArrayData([-3, 7] as [Int64]).int32s() == [-3, 7])
    #expect(throws: Failure.self) { try ArrayData([1 << 40] as [Int64]).int32s() }
    #expect(throws: Failure.self) { try ArrayData([1] as [Float]).int64s() }
    #expect(throws: Failure.self) { try ArrayData(type: .f32, shape: [2], bytes: [0, 0, 0, 0]) }
    #expect(throws: Failure.self) {
      try ArrayData(type: .f32, shape: [1 << 62, 4], bytes: [])
    }
  }

  /// Each with what is wrong with it; all are 65 as a file and as a blob.
  @Test(arguments: [
    #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}"#,
    #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
    #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
    #"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}}"#,
    #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
    #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#,
    #"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#,
    #"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#,
    #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,9223372036854775807]}}"#,
    #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}"#,
    #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551616]}}"#,
    #"{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}"#,
    #"{"a":{"dtype":"F32","shape":[1]}}"#,
    #"{"a":{"dtype":"F32","shape":1,"data_offsets":[0,4]}}"#,
    #"{"a":[1]}"#, #"[]"#, #"{"__metadata__":{"a":1}}"#, #"{"#, "", #"{}"#,
    #"{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}"#,
  ])
  func wrongHeadersAreRefused(_ header: String) throws {
    let folder = try ScratchFolder()
    let bytes = file(header, [UInt8](repeating: 0, count: 8))
    let path = try folder.write(bytes, to: "x")
    #expect { try SafetensorsFile(path: path) } throws: { ($0 as? Failure)?.kind == .badInput }
    #expect { try SafetensorsBlob(canonical: bytes) } throws: {
      ($0 as? Failure)?.kind == .badInput
    }
  }

  @Test(arguments: [1 << 60, UInt64.max, 1 << 32, 1000, 9])
  func claimedHeaderLengthsAreChecked(_ length: UInt64) throws {
    let folder = try ScratchFolder()
    let bytes = withUnsafeBytes(of: length.littleEndian) { Array($0) } + Array("{}      ".utf8)
    let path = try folder.write(bytes, to: "x")
    #expect { try SafetensorsFile(path: path) } throws: { ($0 as? Failure)?.kind == .badInput }
    #expect { try SafetensorsBlob(canonical: bytes) } throws: {
      ($0 as? Failure)?.kind == .badInput
    }
    for count in 0..<8 {
      let short = try folder.write(Array(bytes[..<count]), to: "short")
      #expect(throws: Failure.self) { try SafetensorsFile(path: short) }
      #expect(throws: Failure.self) { try SafetensorsBlob(canonical: Array(bytes[..<count])) }
    }
  }

  /// A file may be written in any order; a blob may not.
  @Test func onlyFilesMayBeInOtherOrder() throws {
    let folder = try ScratchFolder()
    let header =
      #"{"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"shape":[1],"dtype":"F32","data_offsets":[4,8]}}"#
    let bytes = file(header, [1, 2, 3, 4, 0, 0, 128, 63])
    let read = try SafetensorsFile(path: folder.write(bytes, to: "x"))
    #expect(try read.floats("a") == [1])
    #expect(throws: Failure.self) { try SafetensorsBlob(canonical: bytes) }
  }

  @Test func missingFilesAndFoldersAreSaid() throws {
    let folder = try ScratchFolder()
    #expect { try SafetensorsFile(path: folder.file("no")) } throws: {
      ($0 as? Failure)?.kind == .noInput
    }
    #expect { try SafetensorsFile(path: folder.path) } throws: {
      ($0 as? Failure)?.kind == .noInput
    }
  }
}
