internal import Base

/// The parts of a `.model` file (a protocol buffer, `sentencepiece_model.proto`) that are checked
/// before the library sees it: the library ends the process on some damage, and follows offsets of
/// the normaliser's table without looking.
struct SentencePieceModel {
  /// Longest piece; the library's table builder recurses by byte.
  static let pieceLimit = 1024

  /// What a piece is for.
  enum PieceType: UInt64, Sendable {
    case normal = 1
    case unknown, control, userDefined, unused, byte
  }

  /// One entry of the vocabulary.
  struct Piece: Sendable {
    var bytes: [UInt8] = []
    var score: Float = 0
    var type = PieceType.normal
  }

  /// What happens to a text before it is cut.
  struct NormalizerOptions: Sendable {
    var characterMap: CharacterMap?
    var addsPrefix = true
    var removesExtraSpace = true
    var escapesSpace = true
  }

  private(set) var pieces: [Piece] = []
  private(set) var normalizer = NormalizerOptions()
  /// Unigram 1, BPE 2, word 3, char 4.
  private(set) var modelType: UInt64 = 1
  private(set) var spaceIsSuffix = false
  private(set) var byteFallback = false

  /// Whether the bytes can begin a model: a piece (field 1) that fits in what follows.
  static func mayBegin(_ bytes: [UInt8]) -> Bool {
    var reader = ProtocolBuffer(bytes[...])
    guard let first = try? reader.next(), first.number == 1, case .bytes(let piece) = first.value
    else { return false }
    var inner = ProtocolBuffer(piece)
    guard let field = try? inner.next(), case .bytes = field.value else { return false }
    return field.number == 1
  }

  /// Checks a file.
  init(_ bytes: [UInt8]) throws {
    var reader = ProtocolBuffer(bytes[...])
    var once: Set<Int> = []
    while let field = try reader.next() {
      if (2...5).contains(field.number), field.number != 4, !once.insert(field.number).inserted {
        throw Failure.damagedTokenizer("field \(field.number) occurs twice")
      }
      guard (1...5).contains(field.number) else { continue }
      guard case .bytes(let message) = field.value else {
        throw Failure.damagedTokenizer("field \(field.number) is not a message")
      }
      switch field.number {
      case 1:
        pieces.append(try Self.piece(message, number: pieces.count))
      case 2: try readTrainer(message)
      case 3: normalizer = try Self.normalizer(message)
      case 5: _ = try Self.normalizer(message)
      default: try Self.checkFields(message)
      }
    }
    guard !pieces.isEmpty else { throw Failure.damagedTokenizer("no pieces") }
    let unknowns = pieces.count { $0.type == .unknown }
    guard unknowns == 1 else {
      throw Failure.damagedTokenizer("\(unknowns) unknown pieces where one is needed")
    }
  }

  private static func piece(_ message: ArraySlice<UInt8>, number: Int) throws -> Piece {
    var reader = ProtocolBuffer(message)
    var piece = Piece()
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (1, .bytes(let bytes)): piece.bytes = Array(bytes)
      case (2, .fixed32(let bits)):
        piece.score = Float(bitPattern: bits)
        guard piece.score.isFinite else {
          throw Failure.damagedTokenizer("piece \(number) has no finite score")
        }
      case (3, .integer(let value)):
        guard let known = PieceType(rawValue: value) else {
          throw Failure.damagedTokenizer("piece \(number) is of unknown type \(value)")
        }
        piece.type = known
      case (1...3, _): throw Failure.damagedTokenizer("piece \(number) is malformed")
      default: break
      }
    }
    guard !piece.bytes.isEmpty, piece.bytes.count <= pieceLimit, !piece.bytes.contains(0),
      String(validating: piece.bytes, as: UTF8.self) != nil
    else { throw Failure.damagedTokenizer("piece \(number) is not a short UTF-8 string") }
    return piece
  }

  private mutating func readTrainer(_ message: ArraySlice<UInt8>) throws {
    var reader = ProtocolBuffer(message)
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (3, .integer(let type)) where (1...4).contains(type): modelType = type
      case (24, .integer(let flag)): spaceIsSuffix = flag != 0
      case (35, .integer(let flag)): byteFallback = flag != 0
      case (3, _), (24, _), (35, _): throw Failure.damagedTokenizer("malformed training options")
      default: break
      }
    }
  }

  private static func normalizer(_ message: ArraySlice<UInt8>) throws -> NormalizerOptions {
    var reader = ProtocolBuffer(message)
    var options = NormalizerOptions()
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (2, .bytes(let map)) where options.characterMap == nil:
        if !map.isEmpty { options.characterMap = try CharacterMap(Array(map)) }
      case (3, .integer(let flag)): options.addsPrefix = flag != 0
      case (4, .integer(let flag)): options.removesExtraSpace = flag != 0
      case (5, .integer(let flag)): options.escapesSpace = flag != 0
      case (2...5, _): throw Failure.damagedTokenizer("malformed normaliser")
      default: break
      }
    }
    return options
  }

  private static func checkFields(_ message: ArraySlice<UInt8>) throws {
    var reader = ProtocolBuffer(message)
    while try reader.next() != nil {}
  }
}
