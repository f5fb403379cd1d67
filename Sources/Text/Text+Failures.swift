internal import Base

extension Failure {
  static func replacementKey(_ key: String) -> Failure {
    Failure(
      .configuration, problem: "replace_characters: '\(key)' is not a single character",
      remedy: "give one character for each key")
  }

  static func emptyText() -> Failure {
    Failure(.badInput, problem: "no text to speak", remedy: "give at least one character")
  }

  static func pauseMark(_ mark: String) -> Failure {
    Failure(
      .badInput, problem: "'\(mark)' is no pause",
      remedy: "write [pause 0.5s] or [pause 500ms], \(Int(PauseMarks.longestPause)) s at most")
  }

  static func notATokenizer() -> Failure {
    Failure(
      .configuration, problem: "not a tokenizer",
      remedy: "give a SentencePiece .model or a Hugging Face tokenizer.json")
  }

  static func tokenizerTooLarge(limit: Int) -> Failure {
    Failure(
      .configuration, problem: "larger than \(limit >> 20) MiB, so not a tokenizer",
      remedy: "give a SentencePiece .model or a Hugging Face tokenizer.json")
  }

  static func damagedTokenizer(_ problem: String) -> Failure {
    Failure(
      .configuration, problem: "damaged tokenizer: \(problem)", remedy: "fetch the file again")
  }

  static func unsupportedTokenizer(_ component: String) -> Failure {
    Failure(
      .configuration, problem: "the tokenizer uses \(component), which is not supported",
      remedy: "convert the model's SentencePiece file instead")
  }

  static func unknownToken(_ id: Int32, size: Int) -> Failure {
    Failure(
      .badInput, problem: "token \(id) is outside the vocabulary of \(size)",
      remedy: "use the tokenizer that made the tokens")
  }

  static func sentencePiece(_ verb: String, _ message: String) -> Failure {
    Failure(
      .badInput, problem: "SentencePiece cannot \(verb): \(message)", remedy: "check the text")
  }

  static func notEncodable(_ problem: String) -> Failure {
    Failure(
      .badInput, problem: "the tokenizer cannot encode this text: \(problem)",
      remedy: "use a tokenizer with byte fallback or an unknown token")
  }

  static func vocabularySize(_ size: Int) -> Failure {
    Failure(
      .usage, subject: "--vocab-size", problem: "\(size) pieces is out of range",
      remedy: "give 261 to 1048576: 260 are special and byte pieces")
  }

  static func characterCoverage(_ value: Double) -> Failure {
    Failure(
      .usage, subject: "--character-coverage", problem: "\(value) is out of range",
      remedy: "give 0.98 to 1")
  }

  static func training(_ message: String) -> Failure {
    Failure(
      .configuration, problem: "SentencePiece cannot train: \(message)",
      remedy: "adapt the vocabulary size or give more text")
  }
}
