/// Parts of a path as datasets name them.
extension String {
  /// The last component.
  var fileName: String {
    let trimmed = trimmingSlashes
    return String(
      trimmed[
        (trimmed.lastIndex(of: "/").map { trimmed.index(after: $0) } ?? trimmed.startIndex)...])
  }

  /// The folder that a file lies in, with a slash at the end; empty for a bare name.
  var folder: String { lastIndex(of: "/").map { String(self[...$0]) } ?? "" }

  /// The path without the suffix of its last component.
  var withoutSuffix: String {
    let name = fileName
    guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return self }
    return String(dropLast(name[dot...].count))
  }

  /// The suffix in lower case, without the dot; empty where there is none.
  var suffix: String {
    let name = fileName
    guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return "" }
    return name[name.index(after: dot)...].lowercased()
  }

  /// The path without slashes at its end.
  var trimmingSlashes: String {
    var text = self
    while text.count > 1, text.hasSuffix("/") { text.removeLast() }
    return text
  }

  /// A path below this folder; absolute paths stay what they are.
  func appending(path: String) -> String {
    path.hasPrefix("/") || isEmpty ? path : hasSuffix("/") ? self + path : self + "/" + path
  }

  /// Without blanks at both ends.
  var trimmed: String {
    var part = self[...]
    while part.first?.isWhitespace == true { part.removeFirst() }
    while part.last?.isWhitespace == true { part.removeLast() }
    return String(part)
  }
}

/// A path in a manifest as the name of an utterance: below the manifest's folder where it can be.
func nameBelow(_ folder: String, _ path: String) -> String {
  var name = path[...]
  if !folder.isEmpty, name.hasPrefix(folder) { name = name.dropFirst(folder.count) }
  while name.hasPrefix("./") { name = name.dropFirst(2) }
  while name.hasPrefix("/") { name.removeFirst() }
  return String(name)
}

/// The recording that a manifest names, perhaps without its suffix.
func recording(_ path: String) -> String {
  guard !isFile(path) else { return path }
  for suffix in ["wav", "flac", "mp3", "ogg", "opus"] where isFile(path + "." + suffix) {
    return path + "." + suffix
  }
  return path
}
