import ArgumentParser
import Base

/// How records are divided by their ids: `train=0.95,valid=0.05`.
struct Split: ExpressibleByArgument, Sendable, CustomStringConvertible {
  /// Names and shares, in the order given.
  let parts: [(name: String, share: Double)]

  /// Parses names and shares that add up to 1.
  init?(argument: String) {
    var parts: [(String, Double)] = []
    for piece in argument.split(separator: ",", omittingEmptySubsequences: false) {
      let pair = piece.split(separator: "=", omittingEmptySubsequences: false)
      guard pair.count == 2, Split.isName(pair[0]), let share = Double(pair[1]),
        share > 0, share <= 1, !parts.contains(where: { $0.0 == pair[0] })
      else { return nil }
      parts.append((String(pair[0]), share))
    }
    guard abs(parts.reduce(0) { $0 + $1.1 } - 1) < 1e-9 else { return nil }
    self.parts = parts
  }

  private static func isName(_ text: Substring) -> Bool {
    !text.isEmpty
      && text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-" || $0 == "_") }
  }

  /// The index of the part that an id belongs to, wherever the record stands.
  func part(of id: String) -> Int {
    let bytes = SHA256Digest(of: ("split\0" + id).utf8).bytes
    let number = bytes.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let place = Double(number >> 11) * 0x1p-53
    var end = 0.0
    for (index, part) in parts.enumerated() {
      end += part.share
      if place < end { return index }
    }
    return parts.count - 1
  }

  /// As it is typed.
  var description: String { parts.map { "\($0.name)=\($0.share)" }.joined(separator: ",") }
}
