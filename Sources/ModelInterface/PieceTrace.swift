public import Tensors

/// When a piece of speech ends: at the first frame from `firstFrame` on whose logit is above the
/// threshold, and so many frames later.
public struct EndOfSpeechRule: Sendable {
  /// Logit above which the end of speech has come.
  public var threshold: Float
  /// Frames that follow the end.
  public var framesAfterEnd: Int
  /// The first frame at which the end may be noticed.
  public var firstFrame: Int
  /// Where the end was noticed.
  public private(set) var endFrame: Int?

  /// A rule that has seen no frame.
  public init(threshold: Float, framesAfterEnd: Int, firstFrame: Int) {
    self.threshold = threshold
    self.framesAfterEnd = framesAfterEnd
    self.firstFrame = firstFrame
  }

  /// Whether speech stops before this frame, which is thrown away. To be asked of every frame in order.
  public mutating func stops(atFrame frame: Int, logit: Float) -> Bool {
    if endFrame == nil, frame >= firstFrame, logit > threshold { endFrame = frame }
    return endFrame.map { frame >= $0 + framesAfterEnd } ?? false
  }
}

/// What the language model made of one piece of a text: for whoever measures it.
public struct PieceTrace: Sendable {
  /// The frames that were decoded: `[frames, channels]`, normalised (see ``Synthesizer/normalized(_:)``).
  public var latents: Tensor
  /// The logit for the end of speech of each frame; one more than there are latents where the rule
  /// stopped the piece.
  public var endOfSpeechLogits: [Float]
  /// The rule that the piece ended by.
  public var rule: EndOfSpeechRule

  /// A trace.
  public init(latents: Tensor, endOfSpeechLogits: [Float], rule: EndOfSpeechRule) {
    self.latents = latents
    self.endOfSpeechLogits = endOfSpeechLogits
    self.rule = rule
  }

  /// How long the piece would have been with another threshold, and whether it would have ended by
  /// itself. Exact where the piece went on to its limit: how frames are made does not depend on when
  /// they stop.
  public func length(threshold: Float) -> (frames: Int, ended: Bool) {
    var rule = EndOfSpeechRule(
      threshold: threshold, framesAfterEnd: rule.framesAfterEnd, firstFrame: rule.firstFrame)
    for (frame, logit) in endOfSpeechLogits.enumerated()
    where rule.stops(atFrame: frame, logit: logit) {
      return (frame, true)
    }
    return (endOfSpeechLogits.count, rule.endFrame != nil)
  }
}
