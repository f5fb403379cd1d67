import Safetensors

/// The words of a recording with their times: the text split at blanks, one start and one end each,
/// in seconds from the recording's begin. A word whose time is not known has NaN.
public struct AlignedWords: Sendable, Equatable {
  /// The words as they are written.
  public private(set) var words: [String]
  /// When each begins.
  public private(set) var starts: [Float]
  /// When each ends.
  public private(set) var ends: [Float]

  /// The words of a record; nil unless text and times fit each other.
  ///
  /// - Parameter record: the first one of a recording, which has the text and the times.
  public init?(_ record: Record) {
    guard let text = record.text,
      let starts = try? record.arrays["word_starts"]?.floats(),
      let ends = try? record.arrays["word_ends"]?.floats()
    else { return nil }
    words = text.split(whereSeparator: \.isWhitespace).map(String.init)
    guard !words.isEmpty, words.count == starts.count, words.count == ends.count else { return nil }
    self.starts = starts
    self.ends = ends
  }

  /// Whether it is known when a word is said.
  public func isAligned(_ index: Int) -> Bool { starts[index].isFinite && ends[index].isFinite }

  /// The text of some words, with single spaces.
  public func text(of range: some RangeExpression<Int>) -> String {
    words[range].joined(separator: " ")
  }

  /// Leaves out all words but the first ones.
  public mutating func keep(first count: Int) {
    words.removeLast(max(0, words.count - count))
    starts.removeLast(max(0, starts.count - count))
    ends.removeLast(max(0, ends.count - count))
  }
}
