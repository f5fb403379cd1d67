/// What went wrong, in the words of whoever has to mend it.
///
/// Modules throw failures made by constructors in their own `MODULE+Failures.swift`; the `Filters`
/// module prints them, once, as `tool: subject: record 'id': problem; remedy`, and exits with the
/// code of the kind. Nothing else prints or exits.
public struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
  /// The class of a failure: what a caller can do about it. The raw value is the exit code
  /// (sysexits, see `man/tts-stream.1`).
  public struct Kind: RawRepresentable, Sendable, Hashable {
    /// The exit code.
    public var rawValue: Int32
    /// A kind by its exit code, as an abort trailer relays it.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// The answer is "no" (`tts-stream diff`, `done`).
    public static let negative = Kind(rawValue: 1)
    /// Wrong options or operands.
    public static let usage = Kind(rawValue: 64)
    /// The input's content is wrong, or too many records were rejected.
    public static let badInput = Kind(rawValue: 65)
    /// An input cannot be opened.
    public static let noInput = Kind(rawValue: 66)
    /// A device or peer is not available.
    public static let unavailable = Kind(rawValue: 69)
    /// A fault of ours.
    public static let internalFault = Kind(rawValue: 70)
    /// Out of memory or threads.
    public static let noResources = Kind(rawValue: 71)
    /// An output cannot be created, or exists.
    public static let cannotCreate = Kind(rawValue: 73)
    /// Reading or writing failed, or upstream vanished.
    public static let inputOutput = Kind(rawValue: 74)
    /// Interrupted cleanly; running again continues.
    public static let interrupted = Kind(rawValue: 75)
    /// A newer format version, or a required feature that is unknown here.
    public static let unsupportedFormat = Kind(rawValue: 76)
    /// Model or configuration mismatch.
    public static let configuration = Kind(rawValue: 78)
  }

  /// Decides the exit code.
  public var kind: Kind
  /// The file, model or option concerned; nil when the failure is about the run itself.
  public var subject: String?
  /// The record concerned.
  public var record: String?
  /// What is wrong, in lower case, without a final period.
  public var problem: String
  /// What to do about it; nil only where nothing can be done.
  public var remedy: String?

  /// A failure with all its parts.
  public init(
    _ kind: Kind, subject: String? = nil, record: String? = nil, problem: String,
    remedy: String? = nil
  ) {
    self.kind = kind
    self.subject = subject
    self.record = record
    self.problem = problem
    self.remedy = remedy
  }

  /// The message line without the tool's name: control characters are escaped, so that it stays one line.
  public var description: String {
    var line = ""
    if let subject { line += subject + ": " }
    if let record { line += "record '\(record)': " }
    line += problem
    if let remedy { line += "; " + remedy }
    return line.unicodeScalars.reduce(into: "") { text, scalar in
      if scalar.value < 0x20 || scalar.value == 0x7F {
        text += "\\x" + String(scalar.value + 0x100, radix: 16).dropFirst()
      } else {
        text.unicodeScalars.append(scalar)
      }
    }
  }

  /// The same failure with the subject filled in where it was not known.
  public func about(_ subject: String) -> Failure {
    var copy = self
    copy.subject = copy.subject ?? subject
    return copy
  }
}
