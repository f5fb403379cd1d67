import ArgumentParser
import Base
import Foundation
import Records

/// Thresholds for the end of speech: `FROM:TO:STEP`.
struct ThresholdRange: ExpressibleByArgument, CustomStringConvertible, Sendable {
  private let from: Double
  private let to: Double
  private let step: Double

  init(from: Double, to: Double, step: Double) {
    self.from = from
    self.to = to
    self.step = step
  }

  /// Reads it; nil unless it names 1 to 1000 thresholds.
  init?(argument: String) {
    let numbers = argument.split(separator: ":", omittingEmptySubsequences: false).map {
      Double($0)
    }
    guard numbers.count == 3, let from = numbers[0], let to = numbers[1], let step = numbers[2],
      [from, to, step].allSatisfy({ abs($0) <= 1e6 }), step > 0, to >= from,
      (to - from) / step < 1000
    else { return nil }
    self.init(from: from, to: to, step: step)
  }

  var description: String { [from, to, step].map(Record.text(of:)).joined(separator: ":") }
  var defaultValueDescription: String { description }

  /// The thresholds, the last one included where a step meets it.
  var values: [Float] {
    (0...Int(((to - from) / step + 1e-9).rounded(.down))).map { Float(from + Double($0) * step) }
  }
}

/// What the speech of one sentence would be with another threshold.
struct Ending: Sendable {
  /// Frames of all its pieces.
  var frames: Int
  /// Seconds, pauses included.
  var seconds: Double
  /// Whether all pieces would end by themselves.
  var ended: Bool
  /// Seconds over those of the reference.
  var durationRatio: Double?
}

/// What all sentences would be with a threshold.
struct ThresholdResult {
  let threshold: Float
  /// The threshold as it is typed.
  var typed: Double { Double("\(threshold)") ?? Double(threshold) }
  /// The share of sentences that would end by themselves.
  let ended: Double
  let frames: Distribution
  let seconds: Distribution
  let durationRatio: Distribution

  /// - Parameter endings: of all sentences with this threshold.
  init(_ threshold: Float, _ endings: [Ending]) {
    self.threshold = threshold
    let count = endings.count { $0.ended }
    ended = endings.isEmpty ? 0 : Double(count) / Double(endings.count)
    frames = Distribution(endings.map { Double($0.frames) })
    seconds = Distribution(endings.map(\.seconds))
    durationRatio = Distribution(endings.compactMap(\.durationRatio))
  }

  var json: JSON {
    .object([
      "threshold": .number(typed), "eos_rate": .number(ended),
      "frames": frames.json, "seconds": seconds.json, "duration_ratio": durationRatio.json,
    ])
  }
}

/// Thresholds compared.
struct Calibration {
  /// One for each threshold, from the lowest.
  let results: [ThresholdResult]

  /// - Parameter endings: of each sentence one for each threshold.
  init(_ thresholds: [Float], _ endings: [[Ending]]) {
    results = thresholds.enumerated().map { index, threshold in
      ThresholdResult(threshold, endings.map { $0[index] })
    }
  }

  /// How the recommended threshold is chosen.
  static let rule = """
    of the thresholds with which at least 99 % of the sentences end, or the largest share that any \
    reaches: with references the one whose median duration ratio is nearest to 1 by its logarithm, \
    without them the highest; of equal ones the highest
    """

  /// The threshold to use; nil when no sentence was spoken.
  var recommended: ThresholdResult? {
    let wanted = min(0.99, results.map(\.ended).max() ?? 0)
    let ending = results.filter { $0.ended >= wanted }
    let compared = ending.compactMap { result in
      result.durationRatio.median.flatMap { $0 > 0 ? (result, abs(log($0))) : nil }
    }
    guard let nearest = compared.map(\.1).min() else { return ending.last }
    return compared.last { $0.1 == nearest }?.0
  }

  var json: JSON {
    .object([
      "thresholds": .array(results.map(\.json)), "rule": .string(Self.rule),
      "recommended": recommended.map { .number($0.typed) } ?? .null,
    ])
  }
}
