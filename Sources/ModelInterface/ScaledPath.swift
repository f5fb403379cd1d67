extension SpeechModel {
  /// The model with these adapters in its weights.
  ///
  /// - Throws: `noInput` or `badInput` for a file that is none, `configuration` for one of other weights.
  public func adapted(_ choices: [ScaledPath]) throws -> any SpeechModel {
    try adapted(choices.map { (try LowRankAdapter(path: $0.path), $0.path, $0.scale) })
  }
}

/// `FILE` or `FILE:SCALE`: something and what it counts, an adapter for instance.
public struct ScaledPath: Sendable, Hashable {
  /// The file.
  public var path: String
  /// What it is multiplied by.
  public var scale: Float

  /// Reads it; a colon before anything but a number belongs to the name.
  public init(_ text: String) {
    path = text
    scale = 1
    guard let colon = text.lastIndex(of: ":"),
      let number = Float(text[text.index(after: colon)...]), number.isFinite
    else { return }
    path = String(text[..<colon])
    scale = number
  }
}
