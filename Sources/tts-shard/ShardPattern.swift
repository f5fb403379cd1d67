import Base

/// The name of shard files: one number as in `%05d`, and `{split}` where the input is divided.
struct ShardPattern {
  /// The pattern as given.
  let text: String
  private let before: String
  private let after: String
  private let width: Int

  /// A pattern.
  ///
  /// - Throws: `usage` unless it holds exactly one number, in the file's own name.
  init(_ text: String) throws {
    self.text = text
    let pieces = text.split(separator: "%", omittingEmptySubsequences: false)
    guard pieces.count == 2 else { throw Failure.shardPattern(text) }
    let directive = pieces[1].prefix { $0.isASCII && $0.isNumber }
    let rest = pieces[1].dropFirst(directive.count)
    guard rest.first == "d", directive.isEmpty || directive.first == "0",
      let width = Int("0" + directive), width <= 12, !rest.contains("/")
    else { throw Failure.shardPattern(text) }
    before = String(pieces[0])
    after = String(rest.dropFirst())
    self.width = width
  }

  /// Whether the name depends on the split.
  var namesSplit: Bool { text.contains("{split}") }

  /// The folder part, up to and with the last slash, of any shard of a split.
  func folder(split: String) -> String { Self.folder(of: filled(before, split)) }

  /// The path of a shard.
  func path(split: String, number: Int) -> String {
    let digits = String(number)
    let zeros = String(repeating: "0", count: max(0, width - digits.count))
    return filled(before, split) + zeros + digits + filled(after, split)
  }

  /// The number in a file name of a split; nil for other files.
  func number(inFileName name: String, split: String) -> Int? {
    let prefix = filled(before, split).dropFirst(folder(split: split).count)
    let suffix = filled(after, split)
    guard name.hasPrefix(prefix), name.hasSuffix(suffix),
      name.utf8.count > prefix.utf8.count + suffix.utf8.count
    else { return nil }
    let digits = name.dropFirst(prefix.count).dropLast(suffix.count)
    guard digits.allSatisfy({ $0.isASCII && $0.isNumber }), let number = Int(digits) else {
      return nil
    }
    // "007" is the name of no shard where two digits are due.
    return path(split: split, number: number).hasSuffix(name) ? number : nil
  }

  /// The path of a split's manifest: the pattern without its number and suffix, so that
  /// `shards/train-%05d.ttsr` has `shards/train.manifest.json`.
  func manifestPath(split: String) -> String {
    let path = filled(before, split)
    let folder = Self.folder(of: path)
    let separators: Set<Character> = ["-", "_", "."]
    var name = String(path.dropFirst(folder.count))
    while let last = name.last, separators.contains(last) { name.removeLast() }
    var end = filled(after, split)
    if let suffix = [".ttsr"].first(where: end.hasSuffix) { end.removeLast(suffix.count) }
    while name.isEmpty, let first = end.first, separators.contains(first) { end.removeFirst() }
    name += end
    return folder + (name.isEmpty ? "manifest.json" : name + ".manifest.json")
  }

  private func filled(_ text: String, _ split: String) -> String {
    text.replacing("{split}", with: split)
  }

  private static func folder(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
  }
}

extension String {
  fileprivate func replacing(_ part: String, with other: String) -> String {
    split(separator: part, omittingEmptySubsequences: false).joined(separator: other)
  }
}
