import Base

/// The name of a file in a model repository: `hf://OWNER/REPO/PATH[@REVISION]`, as the official Pocket
/// TTS configurations write it.
public struct HubPath: Sendable, Hashable, CustomStringConvertible {
  /// Who owns the repository.
  public let owner: String
  /// The repository's name.
  public let repository: String
  /// The file's path in it.
  public let path: String
  /// A commit, branch or tag; nil stands for `main`.
  public let revision: String?

  /// Whether a text is meant as such a name.
  public static func isMeant(by text: String) -> Bool { text.hasPrefix(scheme) }

  private static let scheme = "hf://"
  /// First components that name other kinds of repositories.
  private static let otherKinds: Set = ["datasets", "spaces", "kernels", "buckets", "models"]

  /// Reads a name.
  ///
  /// - Throws: `usage` when it is not one.
  public init(_ text: String) throws {
    guard text.hasPrefix(Self.scheme) else { throw Failure.hubPath(text, "it begins otherwise") }
    let parts = text.dropFirst(Self.scheme.count).split(
      separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3 else { throw Failure.hubPath(text, "it names no file") }
    for part in parts[..<2] where !Self.isName(part) {
      throw Failure.hubPath(text, "'\(part)' is no owner or repository")
    }
    guard !Self.otherKinds.contains(String(parts[0])) else {
      throw Failure.hubPath(text, "only model repositories are known")
    }
    let tail = parts[2].split(separator: "@", omittingEmptySubsequences: false)
    guard tail.count <= 2 else { throw Failure.hubPath(text, "it has more than one '@'") }
    for place in tail where !Self.isRelative(place) {
      throw Failure.hubPath(text, "'\(place)' is no path inside a repository")
    }
    owner = String(parts[0])
    repository = String(parts[1])
    path = String(tail[0])
    revision = tail.count == 2 ? String(tail[1]) : nil
  }

  private init(_ other: HubPath, path: String) {
    owner = other.owner
    repository = other.repository
    revision = other.revision
    self.path = path
  }

  /// A file by its path from this one's folder, at the same revision.
  public func beside(_ relative: String) throws -> HubPath {
    guard Self.isRelative(relative[...]), !relative.contains("@") else {
      throw Failure.hubPath(description, "'\(relative)' is no path beside it")
    }
    let folder = path.lastIndex(of: "/").map { path[...$0] } ?? ""
    return HubPath(self, path: folder + relative)
  }

  /// The name as it was given.
  public var description: String {
    "\(Self.scheme)\(owner)/\(repository)/\(path)" + (revision.map { "@\($0)" } ?? "")
  }

  /// The revision as a commit: 40 hexadecimal digits; nil for a branch, a tag or a shortened commit.
  var commit: String? { revision.flatMap { Self.isCommit($0) ? $0 : nil } }

  static func isCommit(_ text: String) -> Bool {
    text.utf8.count == 40
      && text.utf8.allSatisfy {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
          || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
      }
  }

  /// Letters, digits, `.`, `_`, `-`, as repositories are named: never what a path could mistake, nor
  /// the `--` that separates names in the cache.
  private static func isName(_ text: Substring) -> Bool {
    (1...96).contains(text.utf8.count)
      && text.utf8.allSatisfy {
        switch $0 {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
          UInt8(ascii: "-"):
          true
        default: false
        }
      }
      && !"-.".contains(text.prefix(1)) && !"-.".contains(text.suffix(1))
      && !text.contains("--") && !text.contains("..")
  }

  /// A path that stays below where it starts.
  private static func isRelative(_ text: Substring) -> Bool {
    text.utf8.count <= 1024 && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
      && text.split(separator: "/", omittingEmptySubsequences: false).allSatisfy {
        !$0.isEmpty && $0 != "." && $0 != ".."
      }
  }
}
