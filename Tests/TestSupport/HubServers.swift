import Base
import Foundation

/// A model hub on the loopback (`Tests/Servers/hub_server.py`), which ends with its last reference.
public final class LocalHub: Sendable {
  /// A request that it saw.
  public struct Request: Sendable, Decodable {
    /// GET or HEAD.
    public var method: String
    /// What was asked for.
    public var path: String
    /// Whether the storage was asked, which is another port.
    public var storage: Bool
    /// The token that was shown.
    public var authorization: String?
    /// The part that was asked for.
    public var range: String?
  }

  /// The commit of all its repositories.
  public static let commit = "4015b57a143aec5156fd1444a017a32137a3fd0f"

  private let process: RunningProcess
  private let scheme: String
  private let port: Int

  /// Starts it.
  ///
  /// - Parameters:
  ///   - folder: its files, as OWNER/REPOSITORY/PATH.
  ///   - token: what it wants to see; nil for nothing.
  ///   - certificate: a file with a key, to speak TLS with.
  ///   - acceptsAnyCommit: whether every commit is one of its repositories', instead of ``commit``.
  public init(
    folder: String? = nil, token: String? = nil, certificate: String? = nil,
    acceptsAnyCommit: Bool = false
  ) throws {
    var arguments = ["\(packageFolder)/Tests/Servers/hub_server.py"]
    if let folder { arguments += ["--folder", folder] }
    if let token { arguments += ["--token", token] }
    if let certificate { arguments += ["--tls", certificate] }
    if acceptsAnyCommit { arguments.append("--any-commit") }
    // It waits for tests that wait for a turn of their own.
    process = try RunningProcess(
      "python3", arguments, input: [], keepsInputOpen: true, timeLimit: 1200)
    scheme = certificate == nil ? "http" : "https"
    var ports: [Int] = []
    for _ in 0..<1000 where ports.count < 2 {
      usleep(10000)
      let text = String(decoding: process.outputSoFar, as: UTF8.self)
      guard text.hasSuffix("\n") else { continue }
      ports = text.split(separator: "\n").compactMap { Int($0) }
    }
    guard ports.count == 2 else {
      throw Failure(.unavailable, subject: "hub_server.py", problem: process.errorsSoFar)
    }
    port = ports[0]
  }

  deinit { process.signal(SIGKILL); _ = process.wait() }

  /// The address that makes it misbehave in one way.
  public func endpoint(_ fault: String = "none") -> String {
    "\(scheme)://127.0.0.1:\(port)/\(fault)"
  }

  /// Variables that send all tools there, with a cache of their own.
  public func environment(_ fault: String = "none", home: String) -> [String: String] {
    [
      "HF_ENDPOINT": endpoint(fault), "HF_HOME": home, "HF_HUB_CACHE": "",
      "HUGGINGFACE_HUB_CACHE": "",
      "HF_TOKEN": "", "HUGGING_FACE_HUB_TOKEN": "", "HF_TOKEN_PATH": "", "HF_HUB_OFFLINE": "",
      "TRANSFORMERS_OFFLINE": "", "HF_HUB_DOWNLOAD_TIMEOUT": "1", "HF_HUB_ETAG_TIMEOUT": "1",
      "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1",
      "no_proxy": "127.0.0.1",
    ]
  }

  /// What it was asked so far.
  public func requests() throws -> [Request] {
    let result = try RunningProcess(
      "python3",
      [
        "-c",
        "import sys, urllib.request as r; "
          + "print(r.build_opener(r.ProxyHandler({})).open(sys.argv[1]).read().decode())",
        "\(scheme)://127.0.0.1:\(port)/_log",
      ]
    ).wait()
    return try JSONDecoder().decode([Request].self, from: Data(result.output))
  }
}
