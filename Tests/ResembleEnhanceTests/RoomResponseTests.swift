import Audio
import Base
import TestSupport
import Testing

@testable import ResembleEnhance

/// An array as NumPy writes it.
func numPyArray(_ type: String, _ shape: String, _ data: [UInt8], isFortran: Bool = false)
  -> [UInt8]
{
  var header = "{'descr': '\(type)', 'fortran_order': \(isFortran ? "True" : "False"), "
  header += "'shape': \(shape), }"
  while (header.utf8.count + 11) % 64 != 0 { header += " " }
  header += "\n"
  let length = header.utf8.count
  return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(length & 0xFF), UInt8(length >> 8)]
    + Array(header.utf8) + data
}

func bytes<Element>(_ values: [Element]) -> [UInt8] { values.withUnsafeBytes { Array($0) } }

@Suite struct RoomResponseTests {
  private let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  private func refusal(_ bytes: [UInt8]) throws -> String {
    let failure = #expect(throws: Failure.self) { try NumPyArray(bytes, name: "x.npy") }
    #expect(failure?.kind == .badInput && failure?.subject == "x.npy")
    return failure?.problem ?? ""
  }

  @Test func arraysAreRead() throws {
    let floats: [Float] = [0.5, -1, 0.25]
    for shape in ["(3,)", "(1, 3)", "(3, 1)", "(1,3,1)"] {
      for isFortran in [false, true] {
        let array = try NumPyArray(
          numPyArray("<f4", shape, bytes(floats), isFortran: isFortran), name: "x")
        #expect(array.values == [0.5, -1, 0.25] && array.kind == .float32)
      }
    }
    #expect(
      try NumPyArray(numPyArray("<f8", "(2,)", bytes([0.1, 1e-300])), name: "x").values
        == [0.1, 1e-300])
    #expect(
      try NumPyArray(numPyArray("<i2", "(2,)", bytes([-32768, 5] as [Int16])), name: "x").values
        == [-32768, 5])
    // Version 2 has a longer length.
    var second = numPyArray("<f4", "(3,)", bytes(floats))
    second[6] = 2
    second.insert(contentsOf: [0, 0], at: 10)
    #expect(try NumPyArray(second, name: "x").values == [0.5, -1, 0.25])
  }

  @Test func whatIsNoRowOfNumbersIsRefused() throws {
    let data = bytes([1, 2, 3, 4] as [Float])
    #expect(try refusal([]) == "not an array of NumPy")
    #expect(try refusal(Array("RIFF....WAVE".utf8)) == "not an array of NumPy")
    #expect(try refusal(numPyArray("<f4", "(2, 2)", data)).contains("[2, 2] is not one row"))
    #expect(try refusal(numPyArray("<f4", "()", bytes([1] as [Float]))).contains("one row"))
    #expect(try refusal(numPyArray(">f4", "(4,)", data)).contains("'>f4'"))
    #expect(try refusal(numPyArray("|O", "(4,)", data)).contains("'|O'"))
    #expect(try refusal(numPyArray("<f4", "(5,)", data)).contains("claims 5 numbers"))
    #expect(try refusal(numPyArray("<f4", "(3,)", data)).contains("claims 3 numbers"))
    #expect(
      try refusal(numPyArray("<f4", "(999999999999999999,)", data)).contains("claims 9999"))
    #expect(try refusal(numPyArray("<f4", "(9999999999999999999,)", data)).contains("header"))
    #expect(try refusal(numPyArray("<f4", "(-4,)", data)).contains("header"))
    #expect(try refusal(numPyArray("<f4", "__import__('os')", data)).contains("header"))
    var long = numPyArray("<f4", "(4,)", data)
    (long[8], long[9]) = (0xFF, 0xFF)
    #expect(try refusal(long).contains("65535 bytes is too long"))
    let twice = numPyArray("<f4', 'descr': '<f4", "(4,)", data)
    #expect(try refusal(twice).contains("header"))
  }

  @Test func damageIsRefused() throws {
    let seeds = [
      numPyArray("<f4", "(4,)", bytes([1, 2, 3, 4] as [Float])),
      numPyArray("<f8", "(1, 3)", bytes([1, 2, 3] as [Double]), isFortran: true),
      numPyArray("<i2", "(5, 1)", bytes([1, 2, 3, 4, 5] as [Int16])),
    ]
    try fuzz("npy", seeds, rounds: 6000, refusals: [.badInput]) { bytes in
      let array = try NumPyArray(bytes, name: "x")
      #expect(array.values.count <= bytes.count)
      _ = try RoomResponse(taps: array.values, name: "x")
    }
  }

  @Test func responsesOfAnyRateAreRead() throws {
    // A click after a silence, at half the rate: after the same time, twice as many samples.
    var click = [Float](repeating: 0, count: 800)
    click[300] = 0.5
    let other = [Float](repeating: 0.7, count: 800)
    let writer = try AudioFileWriter(
      path: folder.file("a.wav"), format: .wavFloat, rate: 22_050, channels: 2)
    try writer.write([click, other])
    try writer.finish()
    let room = try RoomResponse(path: folder.file("a.wav"), asPackage: false)
    #expect(room.direct == 600 && room.taps.count == 1600)

    let array = numPyArray("<i2", "(3,)", bytes([0, 16384, -8192] as [Int16]))
    try folder.write(array, to: "a.npy")
    let scaled = try RoomResponse(path: folder.file("a.npy"), asPackage: false)
    #expect(scaled.taps == [0, 0.5, -0.25] && scaled.direct == 1)
    #expect(
      try RoomResponse(path: folder.file("a.npy"), asPackage: true).taps == [0, 16384, -8192])
  }

  @Test func directSoundStaysInItsPlace() throws {
    var taps = [Double](repeating: 0, count: 50)
    (taps[9], taps[10], taps[14]) = (0.1, 0.5, -0.25)
    let room = try RoomResponse(taps: taps, name: "x")
    var click = [Float](repeating: 0, count: 30)
    click[12] = 1
    var expected = [Float](repeating: 0, count: 30)
    (expected[11], expected[12], expected[16]) = (0.1, 0.5, -0.25)
    #expect(largestDifference(room.apply(to: click, asPackage: false), expected) < 1e-7)
    // The package moves it by half of the response, less what comes before the direct sound.
    var late = [Float](repeating: 0, count: 30)
    late[20] = 1
    let moved = room.apply(to: late, asPackage: true)
    #expect(moved.indices.max { abs(moved[$0]) < abs(moved[$1]) } == 20 - (24 - 10))
  }

  @Test func longConvolutionsAreTheSameSum() {
    var random = RandomNumbers(seed: 1, name: "convolution")
    func signal(_ count: Int) -> [Double] { random.normal(count).map(Double.init) }
    for (length, count) in [
      (1, 1), (5, 3), (3, 5), (700, 256), (200, 257), (700, 900), (9000, 1100), (2500, 2500),
    ] {
      let (samples, taps) = (signal(length), signal(count))
      var full = [Double](repeating: 0, count: length + count - 1)
      for index in 0..<length {
        for tap in 0..<count { full[index + tap] += samples[index] * taps[tap] }
      }
      for (start, wanted) in [(0, full.count), (count / 2, length), (count - 1, length)] {
        let part = convolution(samples, taps, from: start, count: wanted)
        let expected = (0..<wanted).map { start + $0 < full.count ? full[start + $0] : 0 }
        // The long ones are computed in float32.
        let scale = expected.reduce(1) { max($0, abs($1)) }
        let tolerance = count > 256 ? 1e-6 * scale : 1e-12 * scale
        #expect(zip(part, expected).allSatisfy { abs($0 - $1) < tolerance })
        #expect(part.count == wanted)
      }
    }
  }

  @Test func whatIsNoResponseIsRefused() throws {
    for taps in [[], [0, 0], [1, .nan], [Double](repeating: 1, count: 1 << 20 + 1)] {
      let failure = #expect(throws: Failure.self) { try RoomResponse(taps: taps, name: "x.npy") }
      #expect(failure?.kind == .badInput && failure?.subject == "x.npy")
    }
  }
}
