extension Record {
  /// The name of the utterance, the same for all parts of it.
  public var id: String {
    get { metadata["id"] ?? "" }
    set { metadata["id"] = newValue }
  }

  /// What is said.
  public var text: String? {
    get { metadata["text"] }
    set { metadata["text"] = newValue }
  }

  /// Who says it.
  public var speaker: String? {
    get { metadata["speaker"] }
    set { metadata["speaker"] = newValue }
  }

  /// The language, as a BCP 47 tag.
  public var language: String? {
    get { metadata["language"] }
    set { metadata["language"] = newValue }
  }

  /// Samples a second of `audio`.
  public var sampleRate: Int? {
    get { integer("sample_rate") }
    set { setInteger("sample_rate", newValue) }
  }

  /// Frames a second of `latents`.
  public var frameRate: Double? {
    get { number("frame_rate") }
    set { setNumber("frame_rate", newValue) }
  }

  /// The place of this part among those of a long recording, from 0; nil for a whole one.
  public var part: Int? {
    get { integer("part") }
    set { setInteger("part", newValue) }
  }

  /// Whether nothing of the same recording follows: true for a whole recording.
  public var isLastPart: Bool {
    get { metadata["part"] == nil || metadata["part_last"] == "true" }
    set { metadata["part_last"] = newValue ? "true" : nil }
  }

  /// Why the record is not to be used; empty for a good one.
  public var rejections: [String] {
    guard let reasons = metadata["rejected"] else { return [] }
    return reasons.split(separator: "\n", omittingEmptySubsequences: true).map(String.init)
  }

  /// Whether the record is marked as not to be used.
  public var isRejected: Bool { metadata["rejected"] != nil }

  /// Marks the record as not to be used, with one more reason of one line.
  public mutating func reject(_ reason: String) {
    let line = String(
      reason.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : Character($0) })
    metadata["rejected"] = metadata["rejected"].map { $0 + "\n" + line } ?? line
  }

  /// A whole number among the texts; nil where there is none, or something else.
  public func integer(_ key: String) -> Int? {
    guard let text = metadata[key], let value = Int(text), String(value) == text else { return nil }
    return value
  }

  /// Sets a whole number, in decimal.
  public mutating func setInteger(_ key: String, _ value: Int?) {
    metadata[key] = value.map(String.init)
  }

  /// A number among the texts; nil where there is none, or something else.
  public func number(_ key: String) -> Double? {
    guard let text = metadata[key], let value = Double(text), value.isFinite else { return nil }
    return value
  }

  /// Sets a number, in the shortest decimal that reads back as the same: `12.5`, `50`.
  public mutating func setNumber(_ key: String, _ value: Double?) {
    metadata[key] = value.map(Record.text(of:))
  }

  /// The shortest decimal of a number, without a fraction where there is none.
  public static func text(of value: Double) -> String {
    let text = "\(value)"
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }
}
