/// How a `tokenizer.json` makes a text of tokens: each step maps a list of strings to another, and
/// what is left is joined.
indirect enum TokenDecoder: Sendable {
  case sequence([TokenDecoder])
  case metaspace(mark: Unicode.Scalar, dropsFirst: Bool)
  case byteFallback
  case fuse
  case replace(TextPattern, String)
  case strip(Unicode.Scalar, start: Int, stop: Int)

  func decoded(_ tokens: [String]) -> [String] {
    switch self {
    case .sequence(let steps): return steps.reduce(tokens) { $1.decoded($0) }
    case .metaspace(let mark, let dropsFirst):
      return tokens.enumerated().map { index, token in
        token.unicodeScalars.contains(mark)
          ? token.unicodeScalars.compactMap {
            $0 != mark ? $0 : index == 0 && dropsFirst ? nil : " "
          }.text
          : token
      }
    case .byteFallback: return decodingBytes(tokens)
    case .fuse: return [tokens.joined()]
    case .replace(let pattern, let replacement):
      return tokens.map { pattern.replacing(in: $0, with: replacement) }
    case .strip(let content, let start, let stop):
      return tokens.map { token in
        var rest = token.unicodeScalars[...]
        rest = rest.dropFirst(min(start, rest.prefix { $0 == content }.count))
        let end = rest.count - rest.strippedAtEnd { $0 == content }.count
        return rest.dropLast(min(stop, end)).text
      }
    }
  }

  /// Runs of byte tokens become text; of a run that is not UTF-8 each byte becomes U+FFFD.
  private func decodingBytes(_ tokens: [String]) -> [String] {
    var result: [String] = []
    var bytes: [UInt8] = []
    func endRun() {
      guard !bytes.isEmpty else { return }
      if let text = String(validating: bytes, as: UTF8.self) {
        result.append(text)
      } else {
        result += [String](repeating: "\u{FFFD}", count: bytes.count)
      }
      bytes.removeAll()
    }
    for token in tokens {
      if let byte = byteValue(of: token) {
        bytes.append(byte)
      } else {
        endRun()
        result.append(token)
      }
    }
    endRun()
    return result
  }

  private func byteValue(of token: String) -> UInt8? {
    let utf8 = token.utf8
    guard utf8.count == 6, utf8.starts(with: "<0x".utf8), utf8.last == UInt8(ascii: ">") else {
      return nil
    }
    return UInt8(String(token.unicodeScalars.dropFirst(3).prefix(2).text), radix: 16)
  }
}
