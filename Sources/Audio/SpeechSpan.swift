/// Where speech begins and where it has ended so far: what trimming needs.
///
/// Speech counts from `shortestSpeech` frames on that no silence of `shortestSilence` interrupts.
public struct SpeechSpan: Sendable {
  private let rules: SegmentRules
  private var frame = 0
  private var run: (start: Int, lastSpeech: Int, speech: Int)?

  /// The first frame to keep, padding included; nil until there is speech.
  public private(set) var start: Int?
  /// The frame after the last to keep, padding included; may lie behind the last frame.
  public private(set) var end = 0

  /// A span that has seen nothing.
  public init(rules: SegmentRules) { self.rules = rules }

  /// Frames before this one will not be kept, as long as `start` is nil.
  public var earliestStart: Int { max(0, (run?.start ?? frame) - rules.padding) }

  /// Takes the next frames.
  public mutating func process(_ frames: [SpeechDetector.Frame]) {
    for next in frames {
      if next.isSpeech {
        var current = run ?? (frame, frame, 0)
        current.lastSpeech = frame
        current.speech += 1
        run = current
        if current.speech >= rules.shortestSpeech {
          if start == nil { start = max(0, current.start - rules.padding) }
          end = frame + 1 + rules.padding
        }
      } else if let current = run, frame - current.lastSpeech >= rules.shortestSilence {
        run = nil
      }
      frame += 1
    }
  }
}
