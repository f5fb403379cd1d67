import Glibc

/// Whether there is a file or directory of this name.
public func fileExists(_ path: String) -> Bool { access(path, F_OK) == 0 }

/// Whether there is a directory of this name.
public func isDirectory(_ path: String) -> Bool {
  var information = stat()
  return stat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFDIR
}

/// The size of a file in bytes.
///
/// - Throws: `noInput` when there is none.
public func fileSize(_ path: String) throws -> Int {
  var information = stat()
  guard stat(path, &information) == 0 else {
    throw Failure.systemCall("read", path, code: errno)
  }
  return Int(information.st_size)
}

/// Creates a directory and those above it where they are missing.
public func createDirectory(_ path: String) throws {
  guard !isDirectory(path) else { return }
  if let cut = path.lastIndex(of: "/"), cut != path.startIndex {
    try createDirectory(String(path[..<cut]))
  }
  guard path.isEmpty || mkdir(path, 0o777) == 0 || errno == EEXIST else {
    throw Failure.systemCall("create the directory", path, writing: true, code: errno)
  }
}

/// The files that match patterns: those of each in the order of their names. A name that exists stands for
/// itself.
///
/// - Throws: `noInput` for a pattern that nothing matches.
public func files(matching patterns: [String]) throws -> [String] {
  var paths: [String] = []
  for pattern in patterns {
    if fileExists(pattern) {
      paths.append(pattern)
      continue
    }
    var found = glob_t()
    defer { globfree(&found) }
    guard glob(pattern, GLOB_NOSORT, nil, &found) == 0 else {
      throw Failure(
        .noInput, subject: pattern, problem: "no such file", remedy: "check the path or the pattern"
      )
    }
    let names = (0..<Int(found.gl_pathc)).compactMap {
      found.gl_pathv[$0].map { String(cString: $0) }
    }
    paths += names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }
  return paths
}

/// The content of a file that is read whole: configurations, tokenizers.
///
/// - Throws: `noInput` when it cannot be opened; `badInput` when it is larger than `limit` bytes.
public func readFile(_ path: String, limit: Int = 256 << 20) throws -> [UInt8] {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw Failure.systemCall("open", path, code: errno) }
  defer { close(descriptor) }
  var content: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 1 << 16)
  while true {
    let count = read(descriptor, &buffer, buffer.count)
    if count < 0 {
      if errno == EINTR { continue }
      throw Failure.systemCall("read", path, code: errno)
    }
    if count == 0 { return content }
    content += buffer[..<count]
    guard content.count <= limit else {
      throw Failure(
        .badInput, subject: path, problem: "larger than \(limit >> 20) MiB",
        remedy: "check that this is the right file")
    }
  }
}
