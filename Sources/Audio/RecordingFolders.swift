import Base
import Glibc

/// Suffixes of recordings that are looked for in folders.
private let audioSuffixes: Set<String> = [
  "wav", "wave", "flac", "ogg", "oga", "opus", "mp3", "aif", "aiff", "aifc", "au", "caf", "w64",
  "rf64", "sph",
]

/// Whether a file is taken for a recording, by its name.
public func isRecording(_ name: String) -> Bool {
  guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return false }
  return audioSuffixes.contains(name[name.index(after: dot)...].lowercased())
}

/// Calls a closure with each recording below a folder, names in byte order, and its path below the folder.
/// Hidden files are left out.
///
/// - Parameters:
///   - isWanted: whether a file is one, by its name.
///   - unreadable: gets those whose names are not UTF-8, with other characters in their place.
/// - Throws: `noInput` for a folder that cannot be read, `badInput` for too many within each other.
public func findRecordings(
  in folder: String, where isWanted: (String) -> Bool = isRecording,
  _ take: (_ path: String, _ name: String) throws -> Void,
  unreadable: (_ path: String, _ name: String) throws -> Void
) throws {
  var folder = folder
  while folder.count > 1, folder.hasSuffix("/") { folder.removeLast() }
  try walk(folder, below: "", depth: 0, isWanted, take, unreadable)
}

private func walk(
  _ folder: String, below: String, depth: Int, _ isWanted: (String) -> Bool,
  _ take: (String, String) throws -> Void, _ unreadable: (String, String) throws -> Void
) throws {
  guard depth <= 64 else { throw Failure.foldersTooDeep(folder) }
  guard let listing = opendir(folder) else {
    throw Failure.systemCall("open", folder, code: errno)
  }
  var names: [[UInt8]] = []
  while let entry = readdir(listing) {
    let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
    if name.first != UInt8(ascii: ".") { names.append(name) }
  }
  closedir(listing)
  for bytes in names.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
    guard let name = String(validating: bytes, as: UTF8.self) else {
      let shown = escaped(bytes)
      if isWanted(shown) { try unreadable(folder + "/" + shown, below + shown) }
      continue
    }
    let path = folder + "/" + name
    if isDirectory(path) {
      try walk(path, below: below + name + "/", depth: depth + 1, isWanted, take, unreadable)
    } else if isWanted(name) {
      try take(path, below + name)
    }
  }
}

/// Bytes that are no UTF-8, for a message: all that is not ASCII as hexadecimal digits.
private func escaped(_ bytes: [UInt8]) -> String {
  bytes.map { $0 < 0x80 ? String(UnicodeScalar($0)) : "%" + [$0].hexadecimal.uppercased() }.joined()
}
