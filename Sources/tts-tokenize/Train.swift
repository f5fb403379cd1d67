import ArgumentParser
import Base
import Filters
import Records
import Text

struct Train: Tool {
  static let tool = ToolDescription(
    name: "tts-tokenize train",
    abstract: "Train a SentencePiece tokenizer on the text of records, or on plain text lines.",
    examples: [
      "tts-tokenize train -o tokenizer.model --vocab-size 4000 in.ttsr",
      "tts-tokenize train -o tokenizer.model < lines.txt",
    ],
    discussion: """
      The settings are those of the official tokenizers: no normalisation, spaces kept, pieces of at \
      most six characters, digits apart, byte fallback, a padding piece. The same text in the same \
      order gives the same file. A model's configuration must name the vocabulary size as n_bins.
      """)

  @Option(
    name: [.short, .long],
    help: ArgumentHelp(
      "Write the model to this file, which gets its name only when it is whole.", valueName: "file"),
    completion: .file(extensions: ["model"]))
  var output: String
  @Option(
    help: ArgumentHelp("Number of pieces, with 4 special ones and 256 bytes.", valueName: "n"))
  var vocabSize = 4000
  @Option(help: ArgumentHelp("Kind of model: unigram or bpe.", valueName: "type"))
  var type = ModelType.unigram
  @Option(
    help: ArgumentHelp(
      "Share of the characters that get pieces; 1 for a small alphabet.", valueName: "x"))
  var characterCoverage = 0.9995
  @OptionGroup var input: InputOptions
  @OptionGroup var common: CommonOptions

  enum ModelType: String, ExpressibleByArgument, CaseIterable {
    case unigram, bpe
  }

  func execute(_ run: ToolRun) throws {
    // Opened first, so that an output that cannot be written shows at once.
    let file = try ByteOutput(path: output, isBinary: true)
    let records = try RecordInput(input, form: .recordsOrLines)
    let trained = try trainTokenizer(
      TokenizerTraining(
        vocabularySize: vocabSize, type: type == .bpe ? .bpe : .unigram,
        characterCoverage: characterCoverage)
    ) {
      try run.checkInterrupted()
      return try nextText(records, run)
    }
    try run.checkInterrupted()
    try file.write(trained.model)
    try file.finish()
    if trained.skipped > 0 {
      run.warn(
        "\(trained.skipped) texts were left out: empty, or longer than "
          + "\(TrainedTokenizer.longestSentence) bytes")
    }
    run.count("texts used", trained.sentences)
    run.count("texts left out", trained.skipped)
    run.say("\(trained.sentences) texts, \(vocabSize) pieces: \(output)")
  }

  private func nextText(_ records: RecordInput, _ run: ToolRun) throws -> String? {
    while let record = try records.next() {
      if record.isRejected {
        run.count("rejected records left out")
      } else if let text = record.text {
        return text
      }
    }
    return nil
  }
}
