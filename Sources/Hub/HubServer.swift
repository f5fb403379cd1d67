import Base

/// What a server says of a file.
struct HubFileFacts: Sendable, Equatable {
  /// The commit that the revision stands for.
  var commit: String
  /// The name of the content in the cache: the SHA-256 of a large file, the Git name of a small one.
  var etag: String
  /// Bytes.
  var size: Int64
}

/// The endpoint: asks and fetches, follows redirects, and shows the token to nobody else.
final class HubServer {
  private static let redirects = 8
  private let settings: HubSettings
  private let session: HTTPSession

  init(_ settings: HubSettings, monitor: RunMonitor) throws {
    self.settings = settings
    session = try HTTPSession(certificates: settings.certificates, monitor: monitor)
  }

  /// Asks what a file is.
  ///
  /// - Throws: `noInput` when the server refuses; `TransferFault` when it cannot be asked now.
  func facts(of name: HubPath) throws -> HubFileFacts {
    var (commit, etag, size): (String?, String?, String?)
    let response = try follow(
      url(of: name, revision: name.revision ?? "main"), limit: settings.answerLimit, to: nil
    ) { response in
      // Storage elsewhere knows nothing of the repository: the endpoint tells before it sends there.
      commit = response["x-repo-commit"] ?? commit
      etag = response["x-linked-etag"] ?? etag
      size = response["x-linked-size"] ?? size
      return commit != nil && etag != nil && size != nil
    }
    if response.location == nil {
      try check(response, name)
      etag = etag ?? response["etag"]
      size = size ?? response["content-length"]
    }
    guard let commit, HubPath.isCommit(commit) else {
      throw Failure.notAHub(name, "the answer names no commit", settings)
    }
    guard name.commit == nil || name.commit == commit else {
      throw Failure.notAHub(name, "the answer is about another commit (\(commit))", settings)
    }
    guard let etag = etag.flatMap(Self.plain) else {
      throw Failure.notAHub(name, "the answer has no usable ETag", settings)
    }
    guard let size = size.flatMap({ Int64($0) }), size >= 0 else {
      throw Failure.notAHub(name, "the answer does not say how large the file is", settings)
    }
    return HubFileFacts(commit: commit, etag: etag, size: size)
  }

  /// Fetches a file's bytes from an offset on.
  ///
  /// - Throws: `noInput` when the server refuses; `TransferFault` when it may go better next time.
  func fetch(_ name: HubPath, commit: String, from offset: Int64, to receiver: any HTTPReceiver)
    throws
  {
    // The commit, not the branch: it may have moved on.
    let range = offset > 0 ? ["Range: bytes=\(offset)-"] : []
    let response = try follow(
      url(of: name, revision: commit), headers: range, limit: settings.stallLimit,
      to: Filter(receiver))
    guard ![200, 206, 416].contains(response.status) else { return }
    try check(response, name)
    throw TransferFault(problem: "the server answers \(response.status)")
  }

  private func check(_ response: HTTPResponse, _ name: HubPath) throws {
    switch response.status {
    case 200..<300: return
    case 408, 425, 429, 500, 502, 503, 504:
      throw TransferFault(problem: "the server answers \(response.status)")
    default: throw Failure.refused(name, response, settings)
    }
  }

  private func url(of name: HubPath, revision: String) -> String {
    let path = name.path.split(separator: "/").map { percentEncoded($0) }.joined(separator: "/")
    return "\(settings.endpoint)/\(name.owner)/\(name.repository)/resolve/"
      + "\(percentEncoded(revision[...]))/\(path)"
  }

  private func follow(
    _ start: String, headers: [String] = [], limit: Duration, to receiver: (any HTTPReceiver)?,
    isEnough: (HTTPResponse) -> Bool = { _ in false }
  ) throws -> HTTPResponse {
    var url = start
    for _ in 0...Self.redirects {
      // Bytes as they are, so that sizes and ranges mean the file.
      var all = headers + ["User-Agent: ttstools", "Accept-Encoding: identity"]
      if let token = settings.token, url.hasPrefix(origin(of: settings.endpoint) + "/") {
        all.append("Authorization: Bearer \(token)")
      }
      let response = try session.send(url, headers: all, limit: limit, to: receiver)
      if isEnough(response) { return response }
      guard let location = response.location else { return response }
      url = try target(of: location, from: url)
    }
    throw Failure.redirect(start, "it redirects more than \(Self.redirects) times")
  }

  /// Scheme, host and port.
  private func origin(of url: String) -> String {
    let authority = url.split(separator: "/", maxSplits: 3, omittingEmptySubsequences: false)
    return authority.prefix(3).joined(separator: "/")
  }

  private func target(of location: String, from url: String) throws -> String {
    let target: String
    if location.hasPrefix("https://") || location.hasPrefix("http://") {
      target = location
    } else if location.hasPrefix("//") {
      target = url.prefix { $0 != "/" } + location
    } else if location.hasPrefix("/") {
      target = origin(of: url) + location
    } else {
      throw Failure.redirect(url, "it redirects to '\(location)', which is no address")
    }
    guard target.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }),
      !origin(of: target).contains(where: { "@\\?#".contains($0) })
    else { throw Failure.redirect(url, "it redirects to '\(location)', which is no address") }
    guard !url.hasPrefix("https://") || target.hasPrefix("https://") else {
      throw Failure.redirect(url, "it redirects from https to http")
    }
    return target
  }

  /// An ETag without its quotes, when it can be a file's name.
  private static func plain(_ etag: String) -> String? {
    let bare = (etag.hasPrefix("W/") ? etag.dropFirst(2) : etag[...]).filter { $0 != "\"" }
    let isName =
      (1...128).contains(bare.utf8.count) && !bare.hasPrefix(".")
      && bare.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") }
    return isName ? bare : nil
  }
}

/// Lets only a file's own bytes through, not the page that comes with a redirect or a refusal.
private final class Filter: HTTPReceiver {
  /// Such a page is read to its end, so that the connection can be used again, but no further.
  private static let longestPage = 1 << 20
  private let receiver: any HTTPReceiver
  private var isFile = false
  private var pageBytes = 0

  init(_ receiver: any HTTPReceiver) { self.receiver = receiver }

  func begin(_ response: HTTPResponse) throws {
    isFile = [200, 206].contains(response.status)
    if isFile || response.status == 416 { try receiver.begin(response) }
  }

  func receive(_ bytes: UnsafeRawBufferPointer) throws {
    if isFile { return try receiver.receive(bytes) }
    pageBytes += bytes.count
    guard pageBytes <= Self.longestPage else {
      throw TransferFault(problem: "the server answers with a page without end")
    }
  }
}

private func percentEncoded(_ text: Substring) -> String {
  text.utf8.reduce(into: "") { encoded, byte in
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
      UInt8(ascii: "_"), UInt8(ascii: "~"):
      encoded.unicodeScalars.append(Unicode.Scalar(byte))
    default: encoded += "%" + [byte].hexadecimal.uppercased()
    }
  }
}
