import ArgumentParser
import Base
import Filters
import ModelInterface
import ModelRegistry
import Records
import Safetensors
import Text

@main
struct Tokenize: RecordFilter, ToolWithCommands {
  static let commands: [any Tool.Type] = [Train.self]

  static let tool = ToolDescription(
    name: "tts-tokenize",
    abstract: "Turn the text of records into tokens, as a model reads them.",
    examples: [
      "tts-tokenize --model MODEL in.ttsr -o out.ttsr",
      "tts-import LJSpeech-1.1 | tts-tokenize --model MODEL -o out.ttsr",
      "tts-tokenize --tokenizer tokenizer.json < lines.txt | tts-stream view",
      "tts-tokenize train --vocab-size 4000 -o tokenizer.model in.ttsr",
    ],
    discussion: """
      The text is taken as it is: nothing is replaced, capitalised or appended. A record without \
      text is rejected. Input may also be plain text: each line becomes a record.

      tts-tokenize train makes a tokenizer; see tts-tokenize train --help.
      """)

  static let acceptsText = true

  @Option(
    help: ArgumentHelp(
      "Use the tokenizer of this model: a directory, a YAML file, or an official name.",
      valueName: "model"))
  var model: String?
  @Option(
    help: ArgumentHelp(
      "Use this tokenizer: a SentencePiece .model or a Hugging Face tokenizer.json.",
      valueName: "file"), completion: .file(extensions: ["model", "json"]))
  var tokenizer: String?
  @OptionGroup var stream: StreamOptions

  func validate() throws {
    guard (model == nil) != (tokenizer == nil) else {
      throw ValidationError("Give either --model or --tokenizer.")
    }
  }

  func stage() throws -> StageParameters {
    let digest: SHA256Digest =
      if let model { try ModelRegistry.speechModel(model).tokenizerDigest() } else {
        try loadedTokenizer().digest
      }
    return StageParameters(models: ["tokenizer": digest.description])
  }

  func makeWorker(_ run: ToolRun) throws -> TokenizingWorker {
    TokenizingWorker(tokenizer: try loadedTokenizer())
  }

  private func loadedTokenizer() throws -> any Tokenizer {
    if let model { return try ModelRegistry.speechModel(model).tokenizer() }
    guard let tokenizer else { throw ValidationError("Give either --model or --tokenizer.") }
    return try loadTokenizer(path: tokenizer)
  }
}

/// Adds `tokens` to records with text.
struct TokenizingWorker: RecordWorker {
  let tokenizer: any Tokenizer

  func process(_ record: Record, _ state: inout Void) throws -> [Record] {
    // The text stands on the first part.
    guard record.part ?? 0 == 0 else { return [record] }
    guard let text = record.text else { throw Failure.noText() }
    guard text.unicodeScalars.contains(where: { !$0.properties.isWhitespace }) else {
      throw Failure.emptyTranscript()
    }
    var record = record
    let tokens = try tokenizer.encode(text)
    record.arrays["tokens"] = ArrayData(tokens, shape: [tokens.count])
    return [record]
  }
}
