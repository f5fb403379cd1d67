/// How frames become segments; all lengths in frames of 10 ms.
public struct SegmentRules: Sendable {
  /// Kept before and after speech.
  public var padding: Int
  /// Segments with fewer frames of speech are dropped.
  public var shortestSpeech: Int
  /// Shorter silences do not end a segment.
  public var shortestSilence: Int
  /// Longer segments are cut at their quietest frame; nil when they may have any length.
  public var longest: Int?

  /// Rules with all their parts.
  public init(padding: Int, shortestSpeech: Int, shortestSilence: Int, longest: Int? = nil) {
    self.padding = padding
    self.shortestSpeech = max(1, shortestSpeech)
    self.shortestSilence = max(1, shortestSilence)
    self.longest = longest.map { max(2, $0) }
  }
}

/// Frames of speech to segments, as they come: [start, end) in frames, in order, never overlapping.
public struct SpeechSegmenter: Sendable {
  private struct Open {
    var start: Int
    var lastSpeech: Int
    var speech = 1
    /// Whether it follows a cut for length, so that it belongs to speech and takes no padding in front.
    var isContinued = false
  }

  private let rules: SegmentRules
  private var frame = 0
  private var open: Open?
  /// A segment that has ended; its padding is settled by the distance to the next one.
  private var closed: (start: Int, end: Int)?
  /// End of what has been given, padding included.
  private var given = 0
  /// Levels since the start of the open segment, for the quietest frame.
  private var levels: [Float] = []

  /// A segmenter that has seen nothing.
  public init(rules: SegmentRules) { self.rules = rules }

  /// Frames before this one are in no segment still to come.
  public var settled: Int {
    if let closed { return closed.start }
    if let open { return open.isContinued ? open.start : max(given, open.start - rules.padding) }
    return max(given, frame - rules.padding)
  }

  /// Segments that are final after these frames.
  public mutating func process(_ frames: [SpeechDetector.Frame]) -> [Range<Int>] {
    var result: [Range<Int>] = []
    for next in frames {
      take(next, &result)
      frame += 1
    }
    return result
  }

  /// The segments that are left.
  public mutating func finish() -> [Range<Int>] {
    var result: [Range<Int>] = []
    close(&result)
    if let last = closed {
      give(last.start..<min(frame, last.end + rules.padding), &result)
      closed = nil
    }
    return result
  }

  private mutating func take(_ next: SpeechDetector.Frame, _ result: inout [Range<Int>]) {
    if next.isSpeech {
      if open == nil {
        open = Open(start: frame, lastSpeech: frame)
        levels = []
      } else {
        open?.lastSpeech = frame
        open?.speech += 1
      }
    }
    if let current = open {
      levels.append(next.level)
      if frame - current.lastSpeech >= rules.shortestSilence { close(&result) }
      cutIfLong(&result)
    }
    if let last = closed, open == nil, frame + 1 - last.end >= 2 * rules.padding {
      give(last.start..<last.end + rules.padding, &result)
      closed = nil
    }
  }

  /// Ends the open segment, or drops it when it holds too little speech.
  private mutating func close(_ result: inout [Range<Int>]) {
    guard let current = open else { return }
    open = nil
    levels = []
    guard current.isContinued || current.speech >= rules.shortestSpeech else { return }
    let start = settleStart(current, &result)
    closed = (start, current.lastSpeech + 1)
  }

  /// Settles where a segment begins, and with it where the one before ends: padding that does not fit
  /// between two is shared.
  private mutating func settleStart(_ current: Open, _ result: inout [Range<Int>]) -> Int {
    guard !current.isContinued else { return current.start }
    if let last = closed {
      let gap = current.start - last.end
      let after = min(rules.padding, gap / 2)
      give(last.start..<last.end + after, &result)
      closed = nil
    }
    return max(given, current.start - rules.padding)
  }

  private mutating func cutIfLong(_ result: inout [Range<Int>]) {
    guard let longest = rules.longest, let current = open else { return }
    // The padding behind counts too.
    let first = current.isContinued ? current.start : max(given, current.start - rules.padding)
    guard frame + 1 + rules.padding - first > longest else { return }
    guard current.isContinued || current.speech >= rules.shortestSpeech else { return }
    let start = settleStart(current, &result)
    // The quietest frame of the second half.
    let from = min(frame, max(current.start + 1, start + longest / 2))
    var cut = from
    for candidate in from...frame
    where levels[candidate - current.start] < levels[cut - current.start] {
      cut = candidate
    }
    give(start..<cut, &result)
    guard cut <= current.lastSpeech else {
      // Only silence is left.
      open = nil
      levels = []
      return
    }
    levels.removeFirst(cut - current.start)
    open = Open(start: cut, lastSpeech: current.lastSpeech, isContinued: true)
  }

  private mutating func give(_ range: Range<Int>, _ result: inout [Range<Int>]) {
    result.append(range)
    given = range.upperBound
  }
}
