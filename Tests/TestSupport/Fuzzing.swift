public import Base
import Foundation
import Testing

/// Parses damaged input over and over: it may be refused with a failure of one of `kinds`; nothing else
/// may happen.
///
/// Short and always the same in ordinary runs. `TTS_FUZZ=50` makes fifty times as many rounds, from
/// another seed each time, and leaves the input that it is at in `TTS_FUZZ_FOLDER` (default: the
/// temporary folder), so that after a crash it can be kept in `Tests/Fuzz`.
///
/// - Parameters:
///   - seeds: good inputs, which are damaged.
///   - tail: when above 0, half of the damage falls on so many bytes at the end.
public func fuzz(
  _ name: String, _ seeds: [[UInt8]], rounds: Int, tail: Int = 0,
  refusals kinds: Set<Failure.Kind> = [.badInput, .unsupportedFormat],
  _ parse: ([UInt8]) throws -> Void
) throws {
  let environment = ProcessInfo.processInfo.environment
  let factor = environment["TTS_FUZZ"].flatMap { Int($0) }
  let folder = environment["TTS_FUZZ_FOLDER"] ?? FileManager.default.temporaryDirectory.path
  var random = RandomNumbers(
    seed: factor == nil ? 1 : UInt64(Date().timeIntervalSince1970), name: name)
  for _ in 0..<rounds * (factor ?? 1) {
    let input = damaged(seeds[random.index(below: seeds.count)], seeds, tail: tail, &random)
    if factor != nil {
      try Data(input).write(to: URL(fileURLWithPath: "\(folder)/fuzz-\(name)"))
    }
    try accept(name, input, refusals: kinds, parse)
  }
}

/// Parses the inputs that were kept in a folder of `Tests/Fuzz`, as `fuzz` does.
public func parseSaved(
  _ name: String, refusals kinds: Set<Failure.Kind> = [.badInput, .unsupportedFormat],
  _ parse: ([UInt8]) throws -> Void
) throws {
  let folder = "\(packageFolder)/Tests/Fuzz/\(name)"
  for file in try FileManager.default.contentsOfDirectory(atPath: folder).sorted() {
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(file)")))
    try accept(name, bytes, refusals: kinds, parse)
  }
}

private func accept(
  _ name: String, _ input: [UInt8], refusals kinds: Set<Failure.Kind>,
  _ parse: ([UInt8]) throws -> Void
) throws {
  do {
    try parse(input)
  } catch let failure as Failure {
    if !kinds.contains(failure.kind) {
      Issue.record("\(name): \(failure) for \(Array(input.prefix(2000)).hexadecimal)")
    }
  }
}

private func damaged(
  _ seed: [UInt8], _ seeds: [[UInt8]], tail: Int, _ random: inout RandomNumbers
) -> [UInt8] {
  var bytes = seed
  for _ in 0...random.index(below: 4) {
    guard !bytes.isEmpty else { return bytes }
    let range = tail > 0 && random.index(below: 2) == 0 ? min(bytes.count, tail) : bytes.count
    let place = bytes.count - 1 - random.index(below: range)
    switch random.index(below: 8) {
    case 0: bytes[place] ^= 1 << UInt8(random.index(below: 8))
    case 1: bytes[place] = [0, 0xFF, 0x7F, 0x80, 0x22, 0x5B, 0x7B][random.index(below: 7)]
    case 2: bytes[place] = UInt8(random.index(below: 256))
    case 3: bytes.removeSubrange(place..<min(bytes.count, place + random.index(below: 40)))
    case 4: bytes = Array(bytes[..<place])
    case 5:
      let piece = bytes[place..<min(bytes.count, place + random.index(below: 60))]
      bytes.insert(contentsOf: Array(piece), at: random.index(below: bytes.count))
    case 6:
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
