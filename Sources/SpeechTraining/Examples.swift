import Base
import Records
import Safetensors
import Tensors
import Text

/// What is learnt from one utterance, before it gets a voice prompt.
struct Material: Sendable {
  /// `[frames, channels]`, raw.
  var latents: Tensor
  var tokens: [Int32]
  /// What the tokens were made from; nil where the record does not say.
  var text: String?
  /// The words of the text with their times; nil where these are not known.
  var words: AlignedWords?
  /// Whether it was cut to the longest length allowed.
  var isCut = false
}

/// Why an utterance is not learnt from.
enum LeftOut: String, Error, CaseIterable {
  case rejected = "rejected"
  case tooLong = "too long"
  case noText = "without text"
  case noSound = "without sound"
  case reference = "references of the voice bank"
}

/// How utterances become material: the same when they are counted and when they are read.
struct ExampleRules: Sendable {
  /// What the latents must be.
  var latents: LatentForm
  /// Frames of the longest utterance.
  var maxFrames: Int
  /// Audio kept after the last word of an utterance that is cut, in seconds.
  static let tail = 0.2
  var tokenizer: any Tokenizer

  /// Latent frames a second.
  var frameRate: Double { latents.frameRate }

  /// The material of an utterance.
  ///
  /// - Parameter parts: all its records, in order.
  /// - Throws: `LeftOut` where it is not to be used, `Failure` where data and model do not go
  ///   together.
  func material(of parts: [Record], file: String) throws -> Material {
    let latents = try latents.latents(of: parts, file: file)
    guard let first = parts.first else { throw LeftOut.noSound }
    guard let array = first.arrays["tokens"] else {
      throw Failure.missing("tokens", of: first.id, file: file, tool: "tts-tokenize")
    }
    var material = Material(
      latents: latents, tokens: try array.int32s(),
      text: first.text, words: AlignedWords(first))
    if latents.rows > maxFrames { try cut(&material) }
    guard !material.tokens.isEmpty else { throw LeftOut.noText }
    let size = tokenizer.size
    if let token = material.tokens.first(where: { $0 < 0 || Int($0) >= size }) {
      throw Failure.unknownToken(Int(token), size: size, record: first.id, file: file)
    }
    return material
  }

  /// Cuts an utterance that is too long after the last word that fits, text and sound together.
  private func cut(_ material: inout Material) throws {
    guard var words = material.words else { throw LeftOut.tooLong }
    let limit = Double(maxFrames) / frameRate
    let ends = words.ends
    guard let last = ends.lastIndex(where: { $0.isFinite && $0 > 0 && Double($0) <= limit }),
      ends[...last].allSatisfy({ !($0.isFinite && Double($0) > limit) })
    else { throw LeftOut.tooLong }
    let frames = min(maxFrames, Int((Double(ends[last]) + Self.tail) * frameRate))
    guard frames > 0, frames <= material.latents.rows else { throw LeftOut.tooLong }
    words.keep(first: last + 1)
    let text = words.text(of: 0...)
    material.latents = material.latents.rows(0..<frames)
    material.tokens = try tokenizer.encode(text)
    material.text = text
    material.words = words
    material.isCut = true
  }
}
