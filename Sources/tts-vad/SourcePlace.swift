import Records
import Safetensors

/// Where a recording lies in the file that it was imported from.
struct SourcePlace {
  private let start: Int?
  /// Samples of the source a sample of the recording.
  private let ratio: Double
  /// End of what was seen: rounding must not name samples that the source does not have.
  private var end = 0

  /// The place of a recording by its first part.
  init(_ record: Record, rate: Int) {
    start = record.integer("source_start")
    ratio = Double(record.integer("source_rate") ?? rate) / Double(rate)
  }

  /// Takes note of a part.
  mutating func see(_ record: Record) { end = record.integer("source_end") ?? Int.max }

  /// Says in a record which samples of the source it holds.
  func mark(_ record: inout Record, _ range: Range<Int>) {
    guard let start else { return }
    record.setInteger("source_start", start + Int((Double(range.lowerBound) * ratio).rounded()))
    record.setInteger(
      "source_end", min(end, start + Int((Double(range.upperBound) * ratio).rounded())))
  }
}

extension Record {
  /// Drops what was computed from samples that are no longer the same.
  mutating func dropDerived() {
    arrays = arrays.filter { $0.key != "latents" && !$0.key.hasPrefix("features.") }
    frameRate = nil
  }
}
