import Base

/// An array as NumPy's `save` writes it (format 1 to 3): numbers in one row. Nothing in it is executed,
/// and nothing allocated for what is not there.
struct NumPyArray: Sendable {
  /// The kinds of numbers, by their names in the header.
  enum Kind: String, Sendable {
    case float32 = "<f4"
    case float64 = "<f8"
    case int16 = "<i2"

    var size: Int {
      switch self {
      case .float32: 4
      case .float64: 8
      case .int16: 2
      }
    }
  }

  /// The kind that the values had in the file.
  let kind: Kind
  /// The values, integers as they are.
  let values: [Double]

  private static let magic = [0x93] + Array("NUMPY".utf8)
  private static let headerLimit = 10_000

  /// - Parameters:
  ///   - bytes: a whole file.
  ///   - name: what it is called in messages.
  /// - Throws: `badInput` for what is no such array, has other numbers in it, or more than one dimension that
  ///   is longer than 1.
  init(_ bytes: [UInt8], name: String) throws {
    func refuse(_ problem: String) -> Failure {
      Failure(
        .badInput, subject: name, problem: problem,
        remedy: "save one channel as float32 with numpy.save")
    }
    guard bytes.count >= 12, bytes.starts(with: Self.magic), (1...3).contains(bytes[6]) else {
      throw refuse("not an array of NumPy")
    }
    let fieldSize = bytes[6] == 1 ? 2 : 4
    let length = bytes[8..<8 + fieldSize].reversed().reduce(0) { $0 << 8 | Int($1) }
    let start = 8 + fieldSize + length
    guard length <= Self.headerLimit, start <= bytes.count else {
      throw refuse("its header of \(length) bytes is too long")
    }
    guard let header = Header(bytes[8 + fieldSize..<start]) else {
      throw refuse("its header cannot be understood")
    }
    guard let kind = Kind(rawValue: header.type) else {
      throw refuse("it holds numbers of type '\(header.type)', not float32, float64 or int16")
    }
    guard !header.shape.isEmpty, header.shape.count(where: { $0 != 1 }) <= 1 else {
      throw refuse("its shape \(header.shape) is not one row of numbers")
    }
    // At most one size is not 1: the product is the largest, or 0.
    let count = header.shape.first { $0 != 1 } ?? 1
    guard (bytes.count - start) / kind.size == count, (bytes.count - start) % kind.size == 0
    else {
      throw refuse("it claims \(count) numbers and has \(bytes.count - start) bytes of them")
    }
    self.kind = kind
    values = bytes.withUnsafeBytes { raw in
      (0..<count).map { index in
        let place = start + index * kind.size
        switch kind {
        case .float32:
          let bits = raw.loadUnaligned(fromByteOffset: place, as: UInt32.self)
          return Double(Float(bitPattern: UInt32(littleEndian: bits)))
        case .float64:
          let bits = raw.loadUnaligned(fromByteOffset: place, as: UInt64.self)
          return Double(bitPattern: UInt64(littleEndian: bits))
        case .int16:
          return Double(
            Int16(littleEndian: raw.loadUnaligned(fromByteOffset: place, as: Int16.self)))
        }
      }
    }
  }
}

extension NumPyArray {
  /// The dictionary of a header: `{'descr': '<f4', 'fortran_order': False, 'shape': (300,), }`.
  /// In one row both orders are the same.
  private struct Header {
    private(set) var type = ""
    private(set) var shape: [Int] = []
    private var rest: Substring

    /// nil for anything else.
    init?(_ bytes: some Sequence<UInt8>) {
      rest = String(decoding: Array(bytes), as: UTF8.self)[...]
      guard take("{") else { return nil }
      var keys = Set<String>()
      while !take("}") {
        guard let key = takeText(), keys.insert(key).inserted, take(":"), takeValue(of: key),
          take(",") || rest.first == "}"
        else { return nil }
      }
      skipBlanks()
      guard rest.isEmpty, keys == ["descr", "fortran_order", "shape"] else { return nil }
    }

    private mutating func skipBlanks() {
      rest = rest.drop { $0 == " " || $0 == "\n" }
    }

    private mutating func take(_ text: String) -> Bool {
      skipBlanks()
      guard rest.hasPrefix(text) else { return false }
      rest = rest.dropFirst(text.count)
      skipBlanks()
      return true
    }

    private mutating func takeText() -> String? {
      guard let quote = rest.first, quote == "'" || quote == "\"" else { return nil }
      let inside = rest.dropFirst()
      guard let end = inside.firstIndex(of: quote) else { return nil }
      rest = inside[inside.index(after: end)...]
      return String(inside[..<end])
    }

    private mutating func takeValue(of key: String) -> Bool {
      switch key {
      case "descr":
        guard let text = takeText() else { return false }
        type = text
        return true
      case "fortran_order": return take("True") || take("False")
      case "shape": return takeShape()
      default: return false
      }
    }

    private mutating func takeShape() -> Bool {
      guard take("(") else { return false }
      while !take(")") {
        let digits = rest.prefix { ("0"..."9").contains($0) }
        guard shape.count < 32, digits.count <= 18, let size = Int(digits) else { return false }
        rest = rest[digits.endIndex...]
        shape.append(size)
        guard take(",") || rest.first == ")" else { return false }
      }
      return true
    }
  }
}
