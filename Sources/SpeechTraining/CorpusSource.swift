import Base
import Glibc

/// `PATTERN` or `PATTERN:WEIGHT`: shards, and how much of the training they are.
public struct CorpusSource: Sendable, Hashable {
  /// Files or patterns of files.
  public var patterns: [String]
  /// Its share of the samples is this over the sum of all; nil where it has none.
  public var weight: Double?

  private init(patterns: [String]) { self.patterns = patterns }

  /// Reads it. A name that exists stands for itself, and a colon before anything but a number belongs to
  /// the name.
  public init(_ text: String) {
    patterns = [text]
    guard !exists(text), let colon = text.lastIndex(of: ":"),
      let number = Double(text[text.index(after: colon)...]), number.isFinite
    else { return }
    patterns = [String(text[..<colon])]
    weight = number
  }

  /// The sources that operands stand for: those without a weight are one together, the first.
  static func all(_ operands: [String]) -> [CorpusSource] {
    let sources = operands.map { CorpusSource($0) }
    let weighted = sources.filter { $0.weight != nil }
    let plain = sources.filter { $0.weight == nil }.flatMap(\.patterns)
    if plain.isEmpty, !weighted.isEmpty { return weighted }
    return [CorpusSource(patterns: plain)] + weighted
  }

  /// The name in messages.
  var name: String {
    (patterns.first ?? "") + (patterns.count > 1 ? " and \(patterns.count - 1) more" : "")
  }

  /// The smallest weight and the largest.
  static let weights = 1e-6...1e6

  /// The weight in millionths; 1 where it has none.
  ///
  /// - Throws: `usage` for one that is too small or too large.
  func millionths() throws -> Int {
    let weight = weight ?? 1
    guard Self.weights.contains(weight) else { throw Failure.weight(weight, of: name) }
    return Int((weight * 1e6).rounded())
  }

  /// Its files, in order; a name that is a file stands for itself.
  ///
  /// - Throws: `noInput` where there is none.
  func files() throws -> [String] { try Base.files(matching: patterns) }
}

private func exists(_ path: String) -> Bool {
  var status = stat()
  return stat(path, &status) == 0
}
