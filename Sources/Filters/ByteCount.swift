public import ArgumentParser

/// A number of bytes as it is typed: `500000`, `64K`, `256M`, `2G` (powers of 1024).
public struct ByteCount: ExpressibleByArgument, Sendable, CustomStringConvertible {
  /// The number.
  public let bytes: Int

  /// A number of bytes.
  public init(bytes: Int) { self.bytes = bytes }

  /// Reads it; nil for anything else.
  public init?(argument: String) {
    let shift = ["K": 10, "M": 20, "G": 30, "T": 40][argument.suffix(1).uppercased()]
    guard let number = Int(shift == nil ? argument : String(argument.dropLast())), number > 0,
      number <= Int.max >> 41
    else { return nil }
    bytes = number << (shift ?? 0)
  }

  /// The number.
  public var description: String { String(bytes) }

  /// As help prints it.
  public var defaultValueDescription: String {
    bytes % (1 << 20) == 0 ? "\(bytes >> 20)M" : "\(bytes)"
  }
}
