import Audio
import Base
import Filters
import Glibc

/// A recording to enhance, and where the result goes.
enum Recording {
  /// What standard input holds, whose first bytes were read; nil or "-" is standard output.
  case standardInput([UInt8], to: String?)
  /// A file; nil or "-" is standard output.
  case file(String, to: String?)
  /// A file whose name is not UTF-8.
  case unreadable(String)

  /// What it is called in messages.
  var name: String {
    switch self {
    case .standardInput: "standard input"
    case .file(let path, _), .unreadable(let path): path
    }
  }

  /// Where the result goes; nil for standard output.
  var target: String? {
    switch self {
    case .standardInput(_, let target), .file(_, let target): target == "-" ? nil : target
    case .unreadable: nil
    }
  }

  func open() throws -> AudioFile {
    switch self {
    case .file(let path, _): return try AudioFile(path: path)
    case .standardInput(let prefix, _):
      return try AudioFile(
        readingFrom: STDIN_FILENO, prefix: prefix, name: name,
        waitToRead: Interruption.waitToRead)
    case .unreadable(let path):
      throw Failure(
        .badInput, subject: path, problem: "the file's name is not UTF-8", remedy: "rename the file"
      )
    }
  }
}

/// Which recordings files and folders are, and where each goes.
struct RecordingPlan {
  private(set) var recordings: [Recording] = []
  /// Whether they go to a folder.
  let isFolder: Bool

  /// - Parameters:
  ///   - suffix: how the names in folders end; nil for that of any recording.
  ///   - ending: of the names of outputs in a folder.
  /// - Throws: `usage` where there is no place for the outputs, or the same for two.
  init(_ operands: [String], suffix: String?, output: String?, ending: String, shard: Share?) throws
  {
    let hasFolder = operands.contains(where: isDirectory)
    isFolder =
      hasFolder || operands.count > 1 || output.map { $0.hasSuffix("/") || isDirectory($0) } == true
    guard isFolder else {
      recordings = [.file(operands[0], to: output)]
      try requireOthers(than: operands[0])
      return
    }
    guard let output, output != "-" else {
      throw Failure(
        .usage, problem: "several recordings do not go to one output", remedy: "give -o FOLDER")
    }
    let folder = Folder(output)
    for operand in operands {
      guard isDirectory(operand) else {
        let name = operand.lastIndex(of: "/").map { operand[operand.index(after: $0)...] }
        recordings.append(
          .file(operand, to: folder.path(for: name.map(String.init) ?? operand, ending)))
        continue
      }
      let own = folder.place(below: operand)
      func isWanted(_ name: String) -> Bool {
        // What an earlier run made is no recording to enhance.
        if let own, name.hasPrefix(own) { return false }
        return suffix.map(name.hasSuffix) ?? isRecording(name)
      }
      try walkFolder(Folder(operand).path) { path, name in
        if isWanted(name) { recordings.append(.file(path, to: folder.path(for: name, ending))) }
      } unreadable: { path, name in
        if isWanted(name) { recordings.append(.unreadable(path)) }
      }
    }
    guard !recordings.isEmpty else {
      throw Failure(
        .noInput, subject: operands[0], problem: "no recordings in the folder",
        remedy: "name another, or choose with --suffix")
    }
    var seen: [String: String] = [:]
    for recording in recordings {
      guard let target = recording.target else { continue }
      if let other = seen.updateValue(recording.name, forKey: target) {
        throw Failure(
          .usage, subject: recording.name, problem: "it would go to \(target), as \(other) does",
          remedy: "enhance them into two folders, or choose with --suffix")
      }
      try requireOthers(than: recording.name, target)
    }
    if let shard {
      let names = Set(try shard.files(of: recordings.map(\.name)))
      recordings.removeAll { !names.contains($0.name) }
    }
  }

  /// - Throws: `usage` where an output would replace a recording.
  private func requireOthers(than path: String, _ target: String? = nil) throws {
    guard let target = target ?? recordings.first?.target else { return }
    var (source, place) = (stat(), stat())
    guard stat(path, &source) == 0, stat(target, &place) == 0, source.st_mode & S_IFMT == S_IFREG,
      source.st_ino == place.st_ino, source.st_dev == place.st_dev
    else { return }
    throw Failure(
      .usage, subject: path, problem: "the output would replace the recording",
      remedy: "choose another output")
  }
}

/// A folder, its name without a slash at the end.
private struct Folder {
  let path: String

  init(_ path: String) {
    var path = path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    self.path = path
  }

  /// The output of a recording of this name.
  func path(for name: String, _ ending: String) -> String {
    let start = name.lastIndex(of: "/").map { name.index(after: $0) } ?? name.startIndex
    let dot = name[start...].lastIndex(of: ".")
    let stem = dot.map { $0 == start ? name[...] : name[..<$0] } ?? name[...]
    return "\(path)/\(stem).\(ending)"
  }

  /// Where it lies below another folder, with a slash at the end; nil where it does not, or is that folder.
  func place(below other: String) -> String? {
    guard let own = Self.real(path), let root = Self.real(other) else { return nil }
    let prefix = root == "/" ? root : root + "/"
    return own.hasPrefix(prefix) ? String(own.dropFirst(prefix.count)) + "/" : nil
  }

  private static func real(_ path: String) -> String? {
    guard let real = realpath(path, nil) else { return nil }
    defer { free(real) }
    return String(cString: real)
  }
}
