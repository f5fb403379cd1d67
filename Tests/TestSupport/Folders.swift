import Foundation

/// A folder of its own for one test, removed when it is no longer referred to.
public final class ScratchFolder: Sendable {
  /// The path, without a final slash.
  public let path: String

  /// Makes the folder.
  public init() throws {
    let base = ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
    path = "\(base)/ttstools-test-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  /// The names in a folder, sorted.
  public static func names(in path: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: path).sorted()
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The path of a file in it.
  public func file(_ name: String) -> String { "\(path)/\(name)" }

  /// Writes a file, with the folders above it, and returns its path.
  @discardableResult
  public func write(_ bytes: [UInt8], to name: String) throws -> String {
    let url = URL(fileURLWithPath: file(name))
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(bytes).write(to: url)
    return url.path
  }

  /// Writes a text file and returns its path.
  @discardableResult
  public func write(_ text: String, to name: String) throws -> String {
    try write(Array(text.utf8), to: name)
  }

  /// The bytes of a file.
  public func read(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(fileURLWithPath: file(name))))
  }

  /// Whether there is a file of this name.
  public func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: file(name)) }

  /// The names in the folder, sorted, hidden ones included.
  public func names() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: path).sorted()
  }
}

/// The folder of the package.
public let packageFolder = URL(fileURLWithPath: #filePath)
  .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().path

/// The path of a fixture below `Tests/Fixtures`. `TTS_FIXTURES` names a folder that stands for
/// `Tests/Fixtures/PocketTTS`: what `Tests/Parity/pocket_tts.py --out` wrote.
public func fixture(_ name: String) -> String {
  let recorded = "PocketTTS/"
  if let folder = ProcessInfo.processInfo.environment["TTS_FIXTURES"], name.hasPrefix(recorded) {
    return "\(folder)/\(name.dropFirst(recorded.count))"
  }
  return "\(packageFolder)/Tests/Fixtures/\(name)"
}

/// Whether there is such a fixture.
public func hasFixture(_ name: String) -> Bool {
  FileManager.default.fileExists(atPath: fixture(name))
}
