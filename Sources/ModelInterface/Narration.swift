import Text

extension Synthesizer {
  /// Says a text that arrives in pieces and may hold pauses, `[pause 0.5s]`: between the words on
  /// either side there is silence of exactly that many samples, and each stretch of words is spoken
  /// as a text of its own.
  ///
  /// - Parameters: as of `speak`.
  /// - Throws: `badInput` when there is nothing to say or a mark is no pause; what the closures throw.
  public func narrate(
    _ nextText: () throws -> String?, voice: any Voice, options: GenerationOptions, name: String,
    onPiece: ((PieceTrace) throws -> Void)? = nil, onAudio: ([Float]) throws -> Void
  ) throws -> GenerationSummary {
    var marks = PauseMarks()
    var summary = GenerationSummary()
    var stretches = 0
    var coming = try marks.next(nextText)
    if coming == nil { coming = .words("") }
    while let item = coming {
      switch item {
      case .pause(let seconds):
        try silence(seconds, onAudio)
        coming = try marks.next(nextText)
      case .words(let first):
        coming = nil
        var words: String? = first
        summary =
          try summary
          + speak(
            {
              if let first = words.take() { return first }
              guard let next = try marks.next(nextText) else { return nil }
              if case .words(let more) = next { return more }
              coming = next
              return nil
            }, voice: voice, options: options,
            name: stretches == 0 ? name : "\(name)#\(stretches)", onPiece: onPiece,
            onAudio: onAudio)
        stretches += 1
      }
    }
    return summary
  }

  /// Says a text that is there as a whole, as `narrate` with pieces does.
  public func narrate(
    _ text: String, voice: any Voice, options: GenerationOptions, name: String,
    onPiece: ((PieceTrace) throws -> Void)? = nil, onAudio: ([Float]) throws -> Void
  ) throws -> GenerationSummary {
    var rest: String? = text
    return try narrate(
      { rest.take() }, voice: voice, options: options, name: name, onPiece: onPiece,
      onAudio: onAudio)
  }

  /// Says a text that is there as a whole and in which brackets are only brackets.
  public func speak(
    _ text: String, voice: any Voice, options: GenerationOptions, name: String,
    onAudio: ([Float]) throws -> Void
  ) throws -> GenerationSummary {
    var rest: String? = text
    return try speak(
      { rest.take() }, voice: voice, options: options, name: name, onAudio: onAudio)
  }

  /// Hands over silence, a second at a time.
  private func silence(_ seconds: Double, _ onAudio: ([Float]) throws -> Void) throws {
    var rest = Int((seconds * Double(sampleRate)).rounded())
    while rest > 0 {
      let count = min(rest, sampleRate)
      try onAudio([Float](repeating: 0, count: count))
      rest -= count
    }
  }
}
