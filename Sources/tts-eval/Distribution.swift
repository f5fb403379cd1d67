import Base
import Foundation

/// Numbers of several sentences.
struct Distribution {
  let count: Int
  /// Nil when there are none, as the others.
  let mean: Double?
  let median: Double?
  let least: Double?
  let most: Double?

  /// - Parameter values: in any order; sums are taken in that of their size.
  init(_ values: [Double]) {
    let sorted = values.sorted()
    count = sorted.count
    mean = sorted.isEmpty ? nil : sorted.reduce(0, +) / Double(sorted.count)
    median =
      sorted.isEmpty ? nil : (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
    least = sorted.first
    most = sorted.last
  }

  var json: JSON {
    .object([
      "count": .integer(Int64(count)), "mean": number(mean), "median": number(median),
      "min": number(least), "max": number(most),
    ])
  }
}

/// A number that may be missing.
func number(_ value: Double?) -> JSON { value.map { .number($0) } ?? .null }

/// A number with so many decimals.
func decimal(_ value: Double, places: Int = 3) -> String {
  String(format: "%.\(places)f", value)
}
