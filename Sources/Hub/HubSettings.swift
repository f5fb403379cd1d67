import Base
import Foundation

/// Where files come from and where they are kept, told by the variables that Python's huggingface_hub
/// reads.
public struct HubSettings: Sendable {
  /// `HF_ENDPOINT`: the server, without a final slash.
  public var endpoint: String
  /// `HF_HUB_CACHE`, else `hub` in `HF_HOME`: the folder of the cache.
  public var cache: String
  /// `HF_TOKEN`, or the content of the token file; nil for none.
  public var token: String?
  /// Where the token came from or would be looked for, for messages.
  public var tokenSource: String
  /// `HF_HUB_OFFLINE`: whether only the cache is used.
  public var isOffline: Bool
  /// `HF_HUB_ETAG_TIMEOUT`: how long the server may take to say what a file is.
  public var answerLimit: Duration
  /// `HF_HUB_DOWNLOAD_TIMEOUT`: how long a transfer may stand still.
  public var stallLimit: Duration
  /// `SSL_CERT_FILE`: the certificates to trust instead of the system's.
  public var certificates: String?
  /// Tries in a row that bring nothing, until a download is given up.
  public var tries = 5
  /// The wait before the second try; it doubles with each.
  public var firstWait = Duration.milliseconds(500)

  /// The settings of an environment.
  ///
  /// - Throws: `configuration` for a value that makes no sense; `noInput` for a token file that
  ///   cannot be read.
  public init(environment: [String: String]) throws {
    func value(_ names: String...) -> String? {
      names.lazy.compactMap { environment[$0] }.first { !$0.isEmpty }
    }
    func isTrue(_ names: String...) -> Bool {
      names.contains { ["1", "ON", "YES", "TRUE"].contains(environment[$0]?.uppercased()) }
    }
    func seconds(_ name: String) throws -> Duration {
      guard let text = value(name) else { return .seconds(10) }
      guard let number = Int(text), (1...86400).contains(number) else {
        throw Failure.setting(name, text, "a number of seconds")
      }
      return .seconds(number)
    }
    func path(_ text: String) -> String { Self.expanded(text, environment) }

    let home = path(value("HF_HOME") ?? (value("XDG_CACHE_HOME") ?? "~/.cache") + "/huggingface")
    cache = value("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE").map(path) ?? home + "/hub"
    let server = value("HF_ENDPOINT") ?? "https://huggingface.co"
    let address = String(server.trimmingSuffix("/"))
    guard ["https://", "http://"].contains(where: { address.hasPrefix($0) }),
      address.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
    else { throw Failure.setting("HF_ENDPOINT", server, "the address of a server") }
    endpoint = address
    isOffline = isTrue("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    answerLimit = try seconds("HF_HUB_ETAG_TIMEOUT")
    stallLimit = try seconds("HF_HUB_DOWNLOAD_TIMEOUT")
    certificates = value("SSL_CERT_FILE")

    let file = value("HF_TOKEN_PATH").map(path) ?? home + "/token"
    var found: String?
    tokenSource = file
    if isTrue("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
      tokenSource = "HF_TOKEN, but HF_HUB_DISABLE_IMPLICIT_TOKEN forbids to use it"
    } else if let name = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"].first(where: { value($0) != nil }) {
      found = value(name)
      tokenSource = name
    } else if fileExists(file) {
      found = String(decoding: try readFile(file, limit: 1 << 16), as: UTF8.self)
    }
    let trimmed = found?.trimmingCharacters(in: .whitespacesAndNewlines) ?? ""
    guard trimmed.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
      throw Failure.token(tokenSource)
    }
    token = trimmed.isEmpty ? nil : trimmed
  }

  /// The settings of this process.
  public init() throws { try self.init(environment: ProcessInfo.processInfo.environment) }

  /// `~`, `$NAME` and `${NAME}` at their values, unknown names as they are.
  private static func expanded(_ text: String, _ environment: [String: String]) -> String {
    var text = text
    if text == "~" || text.hasPrefix("~/") {
      text = (environment["HOME"] ?? NSHomeDirectory()) + text.dropFirst()
    }
    return text.replacing(/\$(?:(\w+)|\{([^}]*)\})/) { match in
      let name = match.output.1 ?? match.output.2 ?? ""
      return environment[String(name)] ?? String(match.output.0)
    }
  }
}

extension String {
  fileprivate func trimmingSuffix(_ character: Character) -> Substring {
    var rest = self[...]
    while rest.last == character { rest.removeLast() }
    return rest
  }
}
