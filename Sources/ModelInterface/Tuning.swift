/// Which parts of a model are trained.
public enum Tuning: Sendable, Hashable {
  /// All of it.
  case full
  /// All but the flow head, which keeps the geometry of the latents that it learned: advised with
  /// less than ten hours of speech.
  case body
  /// The flow head alone.
  case head
  /// The last layers of the backbone, and what comes after them.
  case last(Int)
  /// The embedding of the text alone.
  case text
  /// Low-rank updates of matrices, beside them.
  case lora

  /// Reads `full`, `body`, `head`, `last:N`, `text` or `lora`.
  public init?(_ text: String) {
    switch text {
    case "full": self = .full
    case "body": self = .body
    case "head": self = .head
    case "text": self = .text
    case "lora": self = .lora
    default:
      guard text.hasPrefix("last:"), let count = Int(text.dropFirst(5)), count > 0 else {
        return nil
      }
      self = .last(count)
    }
  }
}

extension Tuning: CustomStringConvertible {
  /// As ``init(_:)`` reads it.
  public var description: String {
    switch self {
    case .full: "full"
    case .body: "body"
    case .head: "head"
    case .last(let count): "last:\(count)"
    case .text: "text"
    case .lora: "lora"
    }
  }
}
