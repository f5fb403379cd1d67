import Base

extension Failure {
  static func idTwice() -> Failure {
    Failure(
      .badInput, problem: "a sentence with this id came before", remedy: "give each its own id")
  }

  static func sentenceTooLong(limit: Int) -> Failure {
    Failure(
      .badInput, problem: "the text has more than \(limit >> 10) KiB",
      remedy: "break it into sentences")
  }

  static func referenceTooLong(seconds: Double) -> Failure {
    Failure(
      .badInput, problem: "the reference is longer than \(Int(seconds)) s",
      remedy: "cut it into utterances (tts-vad --mode split)")
  }

  static func noReferenceAudio() -> Failure {
    Failure(
      .badInput, problem: "the audio of the reference is empty",
      remedy: "remove the recording or reject it")
  }

  static func latentsOfOtherModel(_ shape: [Int], width: Int) -> Failure {
    Failure(
      .badInput, problem: "latents of shape \(shape), the model's have \(width) channels",
      remedy: "encode the recording with this model")
  }

  static func latentNotFinite() -> Failure {
    Failure(
      .badInput, problem: "a latent is not a finite number", remedy: "encode the audio again")
  }

  static func noSentences() -> Failure {
    Failure(
      .badInput, problem: "no sentence in the input", remedy: "give lines of text or records")
  }

  /// - Parameter first: the failure of the first one.
  static func listenersFailed(_ failed: Int, of asked: Int, first: Failure) -> Failure {
    var failure = first
    failure.problem += " (\(failed) of \(asked) commands failed; all other results are complete)"
    return failure
  }
}
