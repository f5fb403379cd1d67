import Foundation
import Records
import TestSupport

/// A WAV file of 16 bits, written without the tools' own writer.
func wave(_ channels: [[Float]], rate: Int, claiming length: Int? = nil) -> [UInt8] {
  let frames = channels.first?.count ?? 0
  let size = length ?? frames * channels.count * 2
  var bytes: [UInt8] = []
  func put(_ value: Int, _ width: Int) {
    for index in 0..<width { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
  }
  bytes += Array("RIFF".utf8)
  put(36 + size, 4)
  bytes += Array("WAVEfmt ".utf8)
  put(16, 4)
  put(1, 2)
  put(channels.count, 2)
  put(rate, 4)
  put(rate * channels.count * 2, 4)
  put(channels.count * 2, 2)
  put(16, 2)
  bytes += Array("data".utf8)
  put(size, 4)
  for frame in 0..<frames {
    for channel in channels { put(Int(max(-1, min(1, channel[frame])) * 32767), 2) }
  }
  return bytes
}

/// The samples of all records of an id, end to end.
func joined(_ records: [Record], id: String) throws -> [Float] {
  try records.filter { $0.id == id }.flatMap { try $0.audio().first ?? [] }
}

/// Whether the parts of each recording are numbered as they must be.
func partsAreInOrder(_ records: [Record]) -> Bool {
  var next: [String: Int] = [:]
  for record in records {
    guard let part = record.part else { continue }
    guard part == next[record.id, default: 0] else { return false }
    next[record.id] = record.isLastPart ? nil : part + 1
  }
  return next.isEmpty
}
