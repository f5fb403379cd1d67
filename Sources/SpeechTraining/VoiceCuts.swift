import Records
import Tensors

/// Where an utterance is cut into a voice prompt and what is to be said after it, as the official
/// trainer does.
///
/// The official trainer encodes prompt and target each from a cold start of the codec. Here both are
/// pieces of the latents of the whole utterance, so that training needs no codec. The encoder is causal:
/// the prompt is what encoding it alone would give, and nothing of the target is in it. But the first
/// frames of the target (some 2.8 s of the official codec, the official trainer's "stitch window") were
/// made with the sound before the cut in the codec's memory, which frames that begin a generation do not
/// have. They continue the prompt's sound rather than begin one.
extension AlignedWords {
  /// A place between two words.
  struct Cut: Equatable {
    /// Seconds from the begin.
    var time: Double
    /// The first word after it.
    var word: Int
  }

  /// Seconds of sound on both sides of a cut, at least.
  static let margin = 1.0

  /// The places where an utterance may be cut: in the middle between two words whose times are known,
  /// the first of which ends within a window. Where no word does, the first place.
  ///
  /// - Parameters:
  ///   - duration: of the utterance, in seconds.
  ///   - window: in seconds from the utterance's begin.
  func cuts(duration: Double, window: Double) -> [Cut] {
    let all = words.indices.dropFirst().compactMap { word -> Cut? in
      guard ends[word - 1].isFinite, starts[word].isFinite else { return nil }
      let time = (Double(ends[word - 1]) + Double(starts[word])) / 2
      let isInside = time >= Self.margin && duration - time >= Self.margin
      return isInside ? Cut(time: time, word: word) : nil
    }
    let inside = all.filter { Double(ends[$0.word - 1]) < window }
    return inside.isEmpty ? Array(all.prefix(1)) : inside
  }

  /// Where the speech ends; nil where that is not known because the last word has no time. Marks that
  /// stand alone are not spoken.
  var endOfSpeech: Double? {
    let isSpoken = { (word: String) in word.contains { $0.isLetter || $0.isNumber } }
    guard let last = words.lastIndex(where: isSpoken), ends[last].isFinite else { return nil }
    return ends.filter(\.isFinite).max().map(Double.init)
  }
}

extension Material {
  /// The places where it may be cut.
  func cuts(frameRate: Double, window: Double) -> [AlignedWords.Cut] {
    guard let words, latents.rows > 1 else { return [] }
    return words.cuts(duration: Double(latents.rows) / frameRate, window: window)
  }

  /// The frames up to 0.2 s after the last word.
  ///
  /// Trailing silence teaches a model to be silent instead of to end. A last word without a time is
  /// kept, with all that follows: the text has it too.
  func speechFrames(frameRate: Double) -> Int {
    guard let end = words?.endOfSpeech else { return latents.rows }
    // Times are data: they may be anything.
    let frames = min(max(1, (end + ExampleRules.tail) * frameRate), Double(latents.rows))
    return Int(frames)
  }
}
