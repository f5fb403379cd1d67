public import Base
internal import CSentencePiece

/// The SentencePiece tokenizer of a `.model` file.
public final class SentencePieceTokenizer: Tokenizer, @unchecked Sendable {
  // The library's model is immutable once loaded.
  private let processor: OpaquePointer
  private let unigram: SentencePieceUnigram?
  /// The number of pieces.
  public let size: Int
  /// SHA-256 of the file.
  public let digest: SHA256Digest

  /// Loads the bytes of a file.
  ///
  /// - Throws: `configuration` when they are no model.
  public init(_ bytes: [UInt8]) throws {
    let model = try SentencePieceModel(bytes)
    var message = Message()
    let loaded = bytes.withUnsafeBytes { bytes in
      message.filled { csp_load(bytes.baseAddress, bytes.count, $0, $1) }
    }
    guard let loaded else { throw Failure.damagedTokenizer(message.text) }
    processor = loaded
    size = Int(csp_piece_count(loaded))
    digest = SHA256Digest(of: bytes)
    unigram = SentencePieceUnigram(model)
    guard size == model.pieces.count else {
      throw Failure.damagedTokenizer("the number of pieces is unclear")
    }
  }

  deinit { csp_free(processor) }

  /// The ids of a text; an empty text has none.
  public func encode(_ text: String) throws -> [Int32] {
    try unigram?.encode(text) ?? encodeInLibrary(text)
  }

  /// What the library makes of a text.
  func encodeInLibrary(_ text: String) throws -> [Int32] {
    var ids: [Int32] = []
    var message = Message()
    var text = text
    let encoded = text.withUTF8 { utf8 in
      utf8.withMemoryRebound(to: CChar.self) { utf8 in
        withUnsafeMutablePointer(to: &ids) { ids in
          message.filled {
            csp_encode(
              processor, utf8.baseAddress, utf8.count, ids,
              { context, values, count in
                context?.assumingMemoryBound(to: [Int32].self).pointee = Array(
                  UnsafeBufferPointer(start: values, count: count))
              }, $0, $1)
          }
        }
      }
    }
    guard encoded == 1 else { throw Failure.sentencePiece("encode", message.text) }
    return ids
  }

  /// The text of ids.
  public func decode(_ ids: [Int32]) throws -> String {
    if let id = ids.first(where: { $0 < 0 || $0 >= size }) {
      throw Failure.unknownToken(id, size: size)
    }
    var text: [UInt8] = []
    var message = Message()
    let decoded = ids.withUnsafeBufferPointer { ids in
      withUnsafeMutablePointer(to: &text) { text in
        message.filled {
          csp_decode(processor, ids.baseAddress, ids.count, text, receiveBytes, $0, $1)
        }
      }
    }
    guard decoded == 1 else { throw Failure.sentencePiece("decode", message.text) }
    return String(decoding: text, as: UTF8.self)
  }
}

/// Stores a result of the library in the `[UInt8]` that the context points to.
func receiveBytes(context: UnsafeMutableRawPointer?, bytes: UnsafePointer<CChar>?, count: Int) {
  context?.assumingMemoryBound(to: [UInt8].self).pointee = Array(
    UnsafeRawBufferPointer(start: bytes, count: count))
}

/// A buffer for the library's messages.
struct Message {
  private var bytes = [CChar](repeating: 0, count: 512)

  /// Hands the buffer to a function of the library.
  mutating func filled<Result>(_ body: (UnsafeMutablePointer<CChar>?, Int) -> Result) -> Result {
    bytes.withUnsafeMutableBufferPointer { body($0.baseAddress, $0.count) }
  }

  /// The message, without the library's source position.
  var text: String {
    let text = String(
      decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    return text.isEmpty ? "no reason given" : text
  }
}
