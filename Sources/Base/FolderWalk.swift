import Glibc

/// Calls a closure with each file below a folder, names in byte order. Hidden files and folders are left out,
/// links are followed.
///
/// - Parameters:
///   - take: gets a file's path and its path below the folder.
///   - unreadable: gets the same of a file whose name is not UTF-8, other bytes written as %XX.
/// - Throws: `noInput` for a folder that cannot be read, `badInput` when folders are nested more than 64 deep,
///   and what the closures throw.
public func walkFolder(
  _ folder: String, take: (_ path: String, _ name: String) throws -> Void,
  unreadable: (_ path: String, _ name: String) throws -> Void
) throws {
  try walk(folder, below: "", depth: 0, take, unreadable)
}

private func walk(
  _ folder: String, below: String, depth: Int, _ take: (String, String) throws -> Void,
  _ unreadable: (String, String) throws -> Void
) throws {
  guard depth <= 64 else {
    throw Failure(
      .badInput, subject: folder, problem: "folders are nested more than 64 deep",
      remedy: "look for a link that points upwards")
  }
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
      try unreadable(folder + "/" + shown, below + shown)
      continue
    }
    let path = folder + "/" + name
    if isDirectory(path) {
      try walk(path, below: below + name + "/", depth: depth + 1, take, unreadable)
    } else {
      try take(path, below + name)
    }
  }
}

/// Bytes that are no UTF-8, for a message: all that is not ASCII as hexadecimal digits.
private func escaped(_ bytes: [UInt8]) -> String {
  bytes.map { $0 < 0x80 ? String(UnicodeScalar($0)) : "%" + [$0].hexadecimal.uppercased() }.joined()
}
