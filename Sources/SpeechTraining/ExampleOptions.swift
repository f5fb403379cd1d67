/// Where the voice prompt of an utterance comes from.
public enum PromptSource: String, Sendable, CaseIterable {
  /// The beginning of another utterance of the same speaker.
  case speaker
  /// The beginning of the utterance itself, up to a cut between two words: the rest is the target.
  case cut
  /// Another utterance of the speaker where there is one, else a cut where one is possible.
  case auto
  /// The reference of the speaker in a voice bank.
  case bank
}

/// How utterances become examples.
public struct ExampleOptions: Sendable, Hashable {
  /// Where voice prompts come from.
  public var prompts = PromptSource.speaker
  /// A voice prompt is at most this long, and a cut comes after a word that ends within it; 0 for no
  /// voice prompts.
  public var promptSeconds = 5.0
  /// Up to this many seconds are cut off the end of a prompt in training, of which one second stays: the
  /// official trainer has 0.5.
  public var promptTrim = 0.0
  /// Probability of leaving out a text's final period in training: the official trainer has 0.3.
  public var periodDropout: Float = 0

  /// No augmentation.
  public init() {}

  /// The same without augmentation, for validation.
  var plain: ExampleOptions {
    var options = self
    options.promptTrim = 0
    options.periodDropout = 0
    return options
  }

  /// By the names of the command line.
  var recorded: [String: String] {
    [
      "period-dropout": "\(periodDropout)", "prompt-seconds": "\(promptSeconds)",
      "prompt-trim": "\(promptTrim)", "prompts": prompts.rawValue,
    ]
  }
}
