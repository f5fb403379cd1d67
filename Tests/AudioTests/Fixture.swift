import Foundation
import TestSupport
import Testing

/// Arrays of float32 out of a fixture file, without the project's own reader.
struct Fixture {
  private let header: [String: Any]
  private let data: Data

  init(_ name: String) throws {
    let file = try Data(contentsOf: URL(filePath: fixture(name)))
    let length = file.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    header = try #require(
      try JSONSerialization.jsonObject(with: file[8..<8 + length]) as? [String: Any])
    data = Data(file[(8 + length)...])
  }

  var names: [String] { header.keys.sorted() }

  func floats(_ name: String) throws -> [Float] {
    let entry = try #require(header[name] as? [String: Any])
    let range = try #require(entry["data_offsets"] as? [Int])
    return data[data.startIndex + range[0]..<data.startIndex + range[1]].withUnsafeBytes {
      Array($0.bindMemory(to: Float.self))
    }
  }
}

/// A folder that goes with the value.
final class Scratch {
  let path = NSTemporaryDirectory() + "/audio-\(UUID().uuidString)"
  init() throws {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }
  deinit { try? FileManager.default.removeItem(atPath: path) }
  func file(_ name: String) -> String { path + "/" + name }
}

/// Reproducible noise in ±1.
func noise(_ count: Int, seed: UInt64 = 1) -> [Float] {
  var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
  return (0..<count).map { _ in
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return Float(Int64(bitPattern: state) >> 40) / Float(1 << 23)
  }
}

func sine(_ frequency: Double, rate: Int, count: Int, amplitude: Double = 0.5) -> [Float] {
  (0..<count).map { Float(amplitude * sin(2 * .pi * frequency * Double($0) / Double(rate))) }
}

func largestDifference(_ a: [Float], _ b: [Float]) -> Float {
  zip(a, b).map { abs($0 - $1) }.max() ?? 0
}

/// Cuts samples at reproducible places.
func pieces(_ samples: [Float], seed: UInt64) -> [ArraySlice<Float>] {
  var state = seed &* 0x2545_F491_4F6C_DD1D | 1
  var result: [ArraySlice<Float>] = []
  var start = 0
  while start < samples.count {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    let length = [0, 1, 7, 100, 1000, 5000][Int(state >> 33) % 6]
    let end = min(samples.count, start + length)
    result.append(samples[start..<end])
    start = end
  }
  return result
}
