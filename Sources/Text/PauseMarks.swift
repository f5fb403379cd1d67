import Base

/// What a text with marks says: words, and pauses between them.
public enum MarkedText: Sendable, Equatable {
  /// Some of the words; more of the same stretch may follow.
  case words(String)
  /// Silence.
  case pause(seconds: Double)
}

/// Takes the marks out of a text that arrives in pieces: `[pause 0.5s]`, `[pause 300ms]`.
///
/// White space beside a mark and at the start is dropped, so that no stretch of words is blank.
public struct PauseMarks {
  /// The longest pause, in seconds.
  public static let longestPause = 600.0
  /// What stands between the brackets has at most so many bytes.
  private static let longestMark = 64
  private static let opening = Array("[pause".utf8)

  private var rest: Substring = ""
  private var isOver = false
  private var isInStretch = false

  /// At the start of a text.
  public init() {}

  /// The next words or pause; nil at the end.
  ///
  /// - Parameter nextText: gives the next piece of the text; nil when there is no more, after which
  ///   it is not called again.
  /// - Throws: `badInput` for a mark that is no pause; what `nextText` throws.
  public mutating func next(_ nextText: () throws -> String?) throws -> MarkedText? {
    while true {
      if !isInStretch {
        rest = Substring(rest.unicodeScalars.drop(while: \.isSpace))
      }
      if let words = takeWords() {
        isInStretch = true
        return .words(words)
      }
      if let mark = try takeMark() {
        isInStretch = false
        return mark
      }
      if isOver {
        guard !rest.isEmpty else { return nil }
        defer { rest = "" }
        return .words(String(rest))
      }
      if let piece = try nextText() {
        rest = rest.isEmpty ? Substring(piece) : Substring(String(rest) + piece)
      } else {
        isOver = true
      }
    }
  }

  /// The words before the next bracket that may begin a mark; nil when there are none.
  private mutating func takeWords() -> String? {
    let bytes = rest.utf8
    var end = bytes.startIndex
    while let bracket = bytes[end...].firstIndex(of: UInt8(ascii: "[")),
      !mayBeMark(bytes[bracket...])
    {
      end = bytes.index(after: bracket)
    }
    end = bytes[end...].firstIndex(of: UInt8(ascii: "[")) ?? bytes.endIndex
    guard end > bytes.startIndex else { return nil }
    defer { rest = rest[end...] }
    return String(rest[..<end])
  }

  /// Whether these bytes are the start of a mark, or may become it with what follows.
  private func mayBeMark(_ bytes: Substring.UTF8View) -> Bool {
    guard bytes.first == UInt8(ascii: "[") else { return false }
    let head = bytes.prefix(Self.opening.count + 1)
    guard head.prefix(Self.opening.count).elementsEqual(Self.opening.prefix(head.count)) else {
      return false
    }
    guard head.count > Self.opening.count, let next = head.last else {
      return head.count == Self.opening.count || !isOver
    }
    // "[paused]" is a word in brackets.
    return !(UInt8(ascii: "a")...UInt8(ascii: "z")).contains(next)
  }

  /// The mark that the rest begins with; nil when it is not whole yet.
  private mutating func takeMark() throws -> MarkedText? {
    let bytes = rest.utf8
    guard mayBeMark(bytes), bytes.count > Self.opening.count || isOver else { return nil }
    guard let end = bytes.prefix(Self.longestMark).firstIndex(of: UInt8(ascii: "]")) else {
      guard isOver || bytes.count >= Self.longestMark else { return nil }
      throw Failure.pauseMark(String(rest.prefix(24)))
    }
    let mark = String(rest[...end])
    guard let seconds = Self.seconds(of: mark) else { throw Failure.pauseMark(mark) }
    rest = rest[bytes.index(after: end)...]
    return .pause(seconds: seconds)
  }

  /// The seconds of a mark, from its opening to its closing bracket.
  private static func seconds(of mark: String) -> Double? {
    guard
      let match = try? /\[pause +([0-9]+(?:\.[0-9]+)?) ?(ms|s)\]/.wholeMatch(in: mark),
      let number = Double(match.1)
    else { return nil }
    let seconds = match.2 == "ms" ? number / 1000 : number
    return seconds <= longestPause ? seconds : nil
  }
}
