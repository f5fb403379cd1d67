internal import Base
internal import CSentencePiece

/// What a new SentencePiece model shall be. The rest of its settings are those that the official
/// tokenizers were trained with: text as it is (no normalisation, spaces kept), pieces of at most six
/// characters, digits apart, byte fallback, a padding piece.
public struct TokenizerTraining: Sendable, Equatable {
  /// The kinds of model.
  public enum ModelType: String, Sendable, CaseIterable {
    /// Pieces with probabilities.
    case unigram
    /// Pieces that grow by merging.
    case bpe
  }

  /// The number of pieces, special and byte pieces included.
  public var vocabularySize: Int
  /// The kind of model.
  public var type: ModelType
  /// The share of the text's characters that get pieces; the rarest become bytes.
  public var characterCoverage: Double

  /// Settings; the defaults are the official ones.
  public init(
    vocabularySize: Int = 4000, type: ModelType = .unigram, characterCoverage: Double = 0.9995
  ) {
    self.vocabularySize = vocabularySize
    self.type = type
    self.characterCoverage = characterCoverage
  }
}

/// A trained model.
public struct TrainedTokenizer: Sendable {
  /// The content of a `.model` file.
  public var model: [UInt8]
  /// The number of sentences that were given and used.
  public var sentences: Int
  /// The number left out because they are empty or longer than `longestSentence`.
  public var skipped: Int

  /// The longest sentence that training uses, in bytes.
  public static let longestSentence = 4192
}

/// Trains a SentencePiece model. The same sentences give the same bytes.
///
/// - Parameter next: gives a sentence at each call, nil at the end.
/// - Throws: `configuration` when the text is too little or too varied for the vocabulary, and whatever
///   `next` throws.
public func trainTokenizer(
  _ options: TokenizerTraining, next: @escaping () throws -> String?
) throws -> TrainedTokenizer {
  // Three special pieces, padding and 256 bytes, and then something to learn.
  guard options.vocabularySize > 260, options.vocabularySize <= 1 << 20 else {
    throw Failure.vocabularySize(options.vocabularySize)
  }
  guard options.characterCoverage >= 0.98, options.characterCoverage <= 1 else {
    throw Failure.characterCoverage(options.characterCoverage)
  }
  let settings = [
    "model_type": options.type.rawValue,
    "vocab_size": "\(options.vocabularySize)",
    "character_coverage": "\(options.characterCoverage)",
    "normalization_rule_name": "identity",
    "remove_extra_whitespaces": "false",
    "max_sentencepiece_length": "6",
    "max_sentence_length": "\(TrainedTokenizer.longestSentence)",
    "allow_whitespace_only_pieces": "true",
    "split_digits": "true",
    "byte_fallback": "true",
    "pad_id": "3",
    "input_sentence_size": "10000000",
    "shuffle_input_sentence": "true",
    // Sums run per thread, so that their number is part of the result.
    "num_threads": "4",
  ]
  let sentences = Sentences(next)
  let (model, problem) = trained(settings, sentences)
  if let error = sentences.error { throw error }
  guard let model else { throw Failure.training(problem) }
  return TrainedTokenizer(model: model, sentences: sentences.used, skipped: sentences.skipped)
}

/// Hands sentences to the library, one at a time.
private final class Sentences {
  private let next: () throws -> String?
  private(set) var used = 0
  private(set) var skipped = 0
  private(set) var error: (any Error)?

  init(_ next: @escaping () throws -> String?) { self.next = next }

  /// Calls `give` with the bytes of the next sentence.
  func advance(_ give: (UnsafePointer<CChar>?, Int) -> Void) -> Bool {
    do {
      while let sentence = try next() {
        var text = sentence.unicodeScalars.map { $0 == "\n" ? " " : $0 }.text.stripped
        guard !text.isEmpty, text.utf8.count <= TrainedTokenizer.longestSentence else {
          skipped += 1
          continue
        }
        used += 1
        text.withUTF8 { utf8 in
          utf8.withMemoryRebound(to: CChar.self) { give($0.baseAddress, $0.count) }
        }
        return true
      }
    } catch {
      self.error = error
    }
    return false
  }
}

private func trained(
  _ settings: [String: String], _ sentences: Sentences
) -> (model: [UInt8]?, problem: String) {
  var message = Message()
  let names = settings.keys.sorted()
  let values = names.map { settings[$0] ?? "" }
  let context = TrainingContext(sentences: sentences)
  let done = withCStrings(names) { names in
    withCStrings(values) { values in
      message.filled { buffer, capacity in
        csp_train(
          names, values, settings.count, 1, Unmanaged.passUnretained(context).toOpaque(),
          { context, sink, give in
            guard let context, let give else { return 0 }
            let sentences = Unmanaged<TrainingContext>.fromOpaque(context).takeUnretainedValue()
              .sentences
            return sentences.advance { give(sink, $0, $1) } ? 1 : 0
          },
          { context, bytes, count in
            guard let context else { return }
            Unmanaged<TrainingContext>.fromOpaque(context).takeUnretainedValue().model = Array(
              UnsafeRawBufferPointer(start: bytes, count: count))
          }, buffer, capacity)
      }
    }
  }
  return done == 1 ? (context.model, "") : (nil, message.text)
}

private final class TrainingContext {
  let sentences: Sentences
  var model: [UInt8] = []
  init(sentences: Sentences) { self.sentences = sentences }
}

/// Calls `body` with zero-terminated copies of texts.
private func withCStrings<Result>(
  _ texts: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>?) -> Result
) -> Result {
  let storage = texts.map { Array($0.utf8CString) }
  let flat = storage.flatMap { $0 }
  return flat.withUnsafeBufferPointer { flat in
    var pointers: [UnsafePointer<CChar>?] = []
    var offset = 0
    for text in storage {
      pointers.append(flat.baseAddress.map { $0 + offset })
      offset += text.count
    }
    return pointers.withUnsafeBufferPointer { body($0.baseAddress) }
  }
}
