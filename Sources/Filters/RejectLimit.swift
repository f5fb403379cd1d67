public import ArgumentParser
import Base

/// How many rejected ids are too many: `--max-rejected`.
public enum RejectLimit: ExpressibleByArgument, Sendable, Hashable, CustomStringConvertible {
  /// A fixed number.
  case count(Int)
  /// A share of the ids so far, in percent; ten are always allowed.
  case percent(Double)

  /// Parses `N` or `P%`.
  public init?(argument: String) {
    if argument.hasSuffix("%") {
      guard let share = Double(argument.dropLast()), (0...100).contains(share) else { return nil }
      self = .percent(share)
    } else {
      guard let count = Int(argument), count >= 0 else { return nil }
      self = .count(count)
    }
  }

  /// As it is typed.
  public var description: String {
    switch self {
    case .count(let count): "\(count)"
    case .percent(let share): "\(share)%".replacingSuffix(".0%", "%")
    }
  }

  /// The words of `--help`.
  public var defaultValueDescription: String { description }

  /// Whether so many rejected ids of so many are too many.
  public func isExceeded(by rejected: Int, of total: Int) -> Bool {
    switch self {
    case .count(let count): rejected > count
    case .percent(let share): rejected > 10 && Double(rejected) > share / 100 * Double(total)
    }
  }
}

extension String {
  fileprivate func replacingSuffix(_ suffix: String, _ other: String) -> String {
    hasSuffix(suffix) ? dropLast(suffix.count) + other : self
  }
}

/// Counts ids and rejected ids in output order, so that the run stops at the same record whatever
/// the number of threads.
public struct RejectCount: Sendable {
  let limit: RejectLimit
  /// Ids seen.
  public private(set) var ids = 0
  /// Ids rejected.
  public private(set) var rejected = 0
  private(set) var reasons: [String: Int] = [:]

  /// Nothing counted yet.
  public init(limit: RejectLimit) { self.limit = limit }

  /// Adds an id.
  public mutating func addID() { ids += 1 }

  /// Adds a rejected id.
  ///
  /// - Throws: `badInput` when these are too many.
  public mutating func addRejected(id: String, reason: String) throws {
    rejected += 1
    // Reasons may name values; the report stays small all the same.
    if reasons.count < 100 || reasons[reason] != nil { reasons[reason, default: 0] += 1 }
    guard limit.isExceeded(by: rejected, of: ids) else { return }
    throw Failure.tooManyRejected(
      rejected, of: ids, limit: limit.description, last: "record '\(id)': \(reason)")
  }
}
