import Base

/// The files below a folder that samples are made from.
struct SampleFolder: Sendable {
  /// The folder, as given.
  let path: String
  /// The files' paths below it, in the byte order of their names.
  let names: [String]

  /// - Parameters:
  ///   - suffixes: of the files that count, in lower case; upper case counts as well.
  ///   - fewest: how many there must be.
  ///   - purpose: what they are, for the message.
  /// - Throws: `noInput` for a folder that cannot be read, `badInput` when there are too few.
  init(_ path: String, suffixes: Set<String>, fewest: Int, purpose: String) throws {
    var names: [String] = []
    func counts(_ name: String) -> Bool {
      let parts = name.split(separator: ".", omittingEmptySubsequences: false)
      return parts.count > 1 && suffixes.contains(parts[parts.count - 1].lowercased())
    }
    try walkFolder(path) { _, name in
      if counts(name) { names.append(name) }
    } unreadable: { path, name in
      guard !counts(name) else {
        throw Failure(
          .badInput, subject: path, problem: "the file's name is not UTF-8",
          remedy: "rename it or take it away")
      }
    }
    guard names.count >= fewest else {
      let kinds = suffixes.sorted().map { "." + $0 }.joined(separator: ", ")
      throw Failure(
        .badInput, subject: path,
        problem: "\(names.isEmpty ? "no" : "only \(names.count)") \(purpose) (\(kinds)) there",
        remedy: "give a folder with at least \(fewest)")
    }
    self.path = path
    self.names = names
  }

  var count: Int { names.count }

  /// The path of a file.
  func file(_ index: Int) -> String { path + "/" + names[index] }

  /// Adds what tells these files from others at little cost: their names and sizes.
  func update(_ hasher: inout SHA256Hasher) throws {
    hasher.update(Array("\(names.count) files\n".utf8))
    for (index, name) in names.enumerated() {
      hasher.update(Array("\(try fileSize(file(index))) \(name)\u{0}".utf8))
    }
  }
}
