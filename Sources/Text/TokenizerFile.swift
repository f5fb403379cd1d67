internal import Base
import Glibc

/// Loads a tokenizer: a SentencePiece `.model` or a Hugging Face `tokenizer.json`.
///
/// - Parameters:
///   - path: the file.
///   - kind: what the file is; when nil, its content tells.
/// - Throws: `noInput` when it cannot be opened, `configuration` when it is no tokenizer, is damaged,
///   or holds a component that is not supported.
public func loadTokenizer(path: String, kind: TokenizerKind? = nil) throws -> any Tokenizer {
  let bytes = try tokenizerBytes(path: path)
  do {
    return try makeTokenizer(bytes, kind: kind)
  } catch let failure as Failure {
    throw failure.about(path)
  }
}

/// Makes a tokenizer from the bytes of a file.
public func makeTokenizer(_ bytes: [UInt8], kind: TokenizerKind? = nil) throws -> any Tokenizer {
  let mayBeModel = SentencePieceModel.mayBegin(bytes)
  let first = bytes.first { !($0 == 32 || (9...13).contains($0)) }
  switch kind {
  case .huggingFace: return try HuggingFaceTokenizer(bytes)
  case .sentencePiece: return try SentencePieceTokenizer(bytes)
  // A `.model` begins with the tag of its first piece, which is a line feed and so may stand before
  // a brace; then it is a piece's length.
  case nil where mayBeModel: return try SentencePieceTokenizer(bytes)
  case nil where first == UInt8(ascii: "{"): return try HuggingFaceTokenizer(bytes)
  case nil: throw Failure.notATokenizer()
  }
}

private let sizeLimit = 256 << 20

private func tokenizerBytes(path: String) throws -> [UInt8] {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw Failure.systemCall("open", path, code: errno) }
  defer { close(descriptor) }
  var status = stat()
  guard fstat(descriptor, &status) == 0 else {
    throw Failure.systemCall("read", path, code: errno)
  }
  guard status.st_mode & S_IFMT != S_IFDIR else {
    throw Failure.systemCall("read", path, code: EISDIR)
  }
  var bytes: [UInt8] = []
  var piece = [UInt8](repeating: 0, count: 1 << 20)
  while true {
    let count = read(descriptor, &piece, piece.count)
    if count < 0, errno == EINTR { continue }
    guard count >= 0 else { throw Failure.systemCall("read", path, code: errno) }
    if count == 0 { return bytes }
    bytes += piece[..<count]
    guard bytes.count <= sizeLimit else {
      throw Failure.tokenizerTooLarge(limit: sizeLimit).about(path)
    }
  }
}
