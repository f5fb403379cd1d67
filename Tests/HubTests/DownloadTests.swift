import Base
import Foundation
import TestSupport
import Testing

@testable import Hub

/// A hub with a cache of its own, that waits no longer than it must.
struct Downloads {
  let server: LocalHub
  let folder: ScratchFolder
  var token: String?
  var isOffline = false
  /// Says when the run is to end.
  var monitor = RunMonitor()

  init(token: String? = nil, wanted: String? = nil) throws {
    server = try LocalHub(token: wanted)
    folder = try ScratchFolder()
    self.token = token
  }

  func settings(_ fault: String) throws -> HubSettings {
    var settings = try HubSettings(environment: [
      "HF_HOME": folder.path, "HF_ENDPOINT": server.endpoint(fault),
    ])
    settings.token = token
    settings.isOffline = isOffline
    settings.answerLimit = .milliseconds(1500)
    settings.stallLimit = .milliseconds(1500)
    settings.firstWait = .milliseconds(20)
    return settings
  }

  func hub(_ fault: String) throws -> Hub {
    let settings = try settings(fault)
    return Hub(settings: settings, monitor: monitor)
  }

  func fetch(_ name: String, _ fault: String = "none") throws -> String {
    try hub(fault).file(HubPath(name))
  }

  /// How fetching fails.
  func failure(_ name: String, _ fault: String) throws -> Failure {
    do {
      let path = try fetch(name, fault)
      throw Failure(.internalFault, problem: "no failure, but \(path)")
    } catch let failure as Failure { return failure }
  }

  /// The files of the cache, with their sizes; links apart.
  func blobs() throws -> [String: Int] {
    let root = folder.file("hub")
    guard let all = FileManager.default.enumerator(atPath: root) else { return [:] }
    var sizes: [String: Int] = [:]
    for case let path as String in all where path.contains("/blobs/") {
      sizes[path] =
        try FileManager.default.attributesOfItem(atPath: "\(root)/\(path)")[.size] as? Int
    }
    return sizes
  }
}

/// Large enough to be redirected to the storage, and for several pieces.
let large = "hf://some/model/weights-3000000.bin"
let small = "hf://some/model/deep/in/it/tokenizer-5000.bin"

@Suite struct DownloadTests {
  private func fetch(_ name: String, _ settings: HubSettings) throws -> String {
    try Hub(settings: settings, monitor: RunMonitor()).file(HubPath(name))
  }

  private func refusal(of name: String, _ settings: HubSettings) throws -> Failure? {
    #expect(throws: Failure.self) { try fetch(name, settings) }
  }

  private func isWhole(_ path: String, _ name: String) throws -> Bool {
    let bytes = try readFile(path)
    let (owner, repository) = ("some", "model")
    let file = try HubPath(name)
    let expected = "\(owner)/\(repository)/\(file.path)"
    let block = try python("hashlib.sha512(sys.argv[1].encode()).hexdigest()", expected)
    let size = Int(file.path.split(separator: "-").last?.dropLast(4) ?? "")
    guard let piece = [UInt8](hexadecimal: block), bytes.count == size else { return false }
    return bytes.enumerated().allSatisfy { $0.element == piece[$0.offset % piece.count] }
  }

  private func python(_ expression: String, _ argument: String) throws -> String {
    let script = "import hashlib, sys; print(\(expression))"
    return try RunningProcess("python3", ["-c", script, argument]).wait().text
      .trimmingCharacters(in: .newlines)
  }

  @Test(arguments: [large, small]) func aFileIsFetchedOnceAndLaidOut(_ name: String) throws {
    let downloads = try Downloads()
    let path = try downloads.fetch(name)
    #expect(try isWhole(path, name))
    let file = try HubPath(name)
    #expect(
      path
        == "\(downloads.folder.path)/hub/models--some--model/snapshots/\(LocalHub.commit)/\(file.path)"
    )
    let target = try FileManager.default.destinationOfSymbolicLink(atPath: path)
    #expect(target.hasPrefix("../../") && target.contains("/blobs/"))
    #expect(
      try downloads.folder.read("hub/models--some--model/refs/main") == Array(LocalHub.commit.utf8))
    #expect(try downloads.blobs().count == 1)

    // A commit needs no network, a branch asks, and the bytes come only once.
    var gone = downloads
    gone.isOffline = true
    #expect(try gone.fetch("\(name)@\(LocalHub.commit)") == path)
    #expect(try gone.fetch(name) == path)
    #expect(try downloads.fetch("\(name)@v1") == path)
    let requests = try downloads.server.requests()
    #expect(requests.filter { $0.method == "HEAD" }.count == 2)
    #expect(requests.filter { $0.method == "GET" && $0.range == nil && !$0.storage }.count == 1)
  }

  @Test func aCutTransferIsContinued() throws {
    let downloads = try Downloads()
    #expect(try isWhole(try downloads.fetch(large, "cut"), large))
    let ranges = try downloads.server.requests().filter { $0.storage }.map(\.range)
    #expect(ranges.count == 4 && ranges[0] == nil)
    #expect(ranges[1] == "bytes=750000-")
  }

  @Test(arguments: ["norange", "refusesrange", "otherpart"])
  func aServerThatCannotContinueStartsAgain(_ fault: String) throws {
    let downloads = try Downloads()
    let name = try HubPath(large)
    // What an earlier run left.
    let etag = try etag(of: name, downloads)
    let blob = "hub/models--some--model/blobs/\(etag)"
    try downloads.folder.write([UInt8](repeating: 7, count: 1000), to: blob + ".incomplete")
    #expect(try isWhole(try downloads.fetch(large, fault), large))
    #expect(try downloads.blobs().count == 1)
  }

  private func etag(of name: HubPath, _ downloads: Downloads) throws -> String {
    try HubServer(try downloads.settings("none"), monitor: RunMonitor()).facts(of: name).etag
  }

  @Test func aStandstillIsCutOffAndContinued() throws {
    let downloads = try Downloads()
    let start = ContinuousClock.now
    #expect(try isWhole(try downloads.fetch(large, "stalls"), large))
    #expect(.now - start < .seconds(8))
    #expect(try downloads.server.requests().contains { $0.range == "bytes=1500000-" })
  }

  @Test(arguments: ["trickles", "silent"]) func whatStandsStillForEverIsGivenUp(_ fault: String)
    throws
  {
    let downloads = try Downloads()
    var settings = try downloads.settings(fault)
    settings.tries = 2
    let start = ContinuousClock.now
    let failure = try refusal(of: large, settings)
    #expect(failure?.kind == .unavailable)
    #expect(failure?.problem.contains("nothing came for 1 s") == true)
    #expect(.now - start < .seconds(10))
  }

  @Test func triesAreCounted() throws {
    let downloads = try Downloads()
    let failure = try downloads.failure(large, "alwayscut")
    #expect(failure.kind == .unavailable)
    #expect(failure.remedy?.contains("continued") == true)
    #expect(try downloads.server.requests().filter { $0.storage }.count == 5)
    // What came is kept, but does not look whole.
    let left = try downloads.blobs()
    #expect(left.count == 1 && left.first?.key.hasSuffix(".incomplete") == true)
    #expect(left.first?.value == 5000)
    #expect(try isWhole(try downloads.fetch(large), large))
    #expect(try downloads.server.requests().contains { $0.range == "bytes=5000-" })
    #expect(try downloads.blobs().count == 1)
  }

  @Test func aBusyServerIsAskedAgain() throws {
    let downloads = try Downloads()
    #expect(try isWhole(try downloads.fetch(small, "busy"), small))
    let failure = try downloads.failure(large, "down")
    #expect(failure.kind == .unavailable && failure.problem.contains("500"))
  }

  @Test(arguments: [large, small]) func wrongBytesAreNotKept(_ name: String) throws {
    let downloads = try Downloads()
    let failure = try downloads.failure(name, "wrong")
    #expect(failure.kind == .inputOutput)
    #expect(failure.problem.contains("not the file"))
    #expect(try downloads.blobs().isEmpty)
    #expect(
      !FileManager.default.fileExists(
        atPath: downloads.folder.file("hub/models--some--model/snapshots")))
  }

  @Test func aWrongPartOfAnEarlierRunIsFetchedAnew() throws {
    let downloads = try Downloads()
    let etag = try etag(of: HubPath(large), downloads)
    try downloads.folder.write(
      [UInt8](repeating: 7, count: 1000), to: "hub/models--some--model/blobs/\(etag).incomplete")
    #expect(try isWhole(try downloads.fetch(large), large))
    #expect(
      try downloads.server.requests().filter { $0.storage }.map(\.range) == ["bytes=1000-", nil])
  }

  @Test func sizesThatDoNotHoldAreRefused() throws {
    let downloads = try Downloads()
    #expect(try downloads.failure(large, "short").problem.contains("more than the 2999995 bytes"))
    #expect(try downloads.failure(large, "endless").kind == .inputOutput)
    let claims = try downloads.failure(large, "claims")
    #expect(claims.kind == .unavailable, "\(claims)")
    let immense = try downloads.failure(large, "immense")
    #expect(immense.problem.contains("has room for"), "\(immense)")
    let named = try downloads.blobs().keys.filter { !$0.hasSuffix(".incomplete") }
    #expect(named.isEmpty)
  }

  @Test func refusalsSayWhatToDo() throws {
    let downloads = try Downloads()
    let gated = try downloads.failure(large, "gated")
    #expect(gated.kind == .noInput)
    #expect(
      gated.remedy?.contains("HF_TOKEN") == true && gated.remedy?.contains("/some/model") == true)
    var known = downloads
    known.token = "hf_secret"
    let forbidden = try known.failure(large, "forbidden")
    #expect(forbidden.problem.contains("in spite of the token"))
    #expect(!forbidden.description.contains("hf_secret"))
    #expect(
      try downloads.failure("hf://some/model/nothing", "none").problem.contains("no such file"))
    #expect(try downloads.failure(large + "@v9", "none").problem.contains("no revision 'v9'"))
    #expect(try downloads.failure(large, "norepo").problem.contains("no such repository"))
    for refusal in ["gated", "forbidden", "norepo"] {
      let asked = try downloads.server.requests().filter { $0.path.hasPrefix("/\(refusal)/") }
      #expect(asked.count == 1, "a refusal is not asked again")
    }
  }

  @Test func theTokenIsShownToTheEndpointAlone() throws {
    let downloads = try Downloads(token: "hf_secret", wanted: "hf_secret")
    #expect(try isWhole(try downloads.fetch(large), large))
    #expect(try isWhole(try downloads.fetch(small), small))
    let requests = try downloads.server.requests()
    #expect(requests.contains { $0.storage })
    for request in requests {
      #expect(request.authorization == (request.storage ? nil : "Bearer hf_secret"))
    }
  }

  @Test func redirectsAreFollowedWithCare() throws {
    let downloads = try Downloads(token: "hf_secret")
    // Renamed repositories: the answer comes from the new place, the cache keeps the old name.
    let path = try downloads.fetch("hf://old/model/tokenizer-5000.bin", "renamed")
    #expect(path.contains("models--old--model"))
    #expect(try downloads.failure(small, "circle").problem.contains("redirects more than"))
    #expect(try downloads.failure(small, "elsewhere").problem.contains("no address"))
    #expect(try downloads.server.requests().allSatisfy { !$0.storage })
  }

  @Test func namesFromTheServerStayInTheCache() throws {
    let downloads = try Downloads()
    for fault in ["nocommit", "evilcommit", "eviltag"] {
      let failure = try downloads.failure(large, fault)
      #expect(failure.kind == .unavailable && failure.remedy?.contains("HF_ENDPOINT") == true)
    }
    #expect(try downloads.folder.names().isEmpty)
  }

  @Test func offlineAndUnreachableUseWhatIsThere() throws {
    var downloads = try Downloads()
    downloads.isOffline = true
    let offline = try downloads.failure(small, "none")
    #expect(offline.kind == .noInput && offline.description.contains("HF_HUB_OFFLINE"))
    #expect(try downloads.server.requests().isEmpty)
    downloads.isOffline = false
    let path = try downloads.fetch(small)
    // A branch of a server that is down: as it was, with a warning.
    let warnings = Locked<[String]>([])
    downloads.monitor.warn = { text in warnings.withLock { $0.append(text) } }
    let hub = try downloads.hub("down")
    #expect(try hub.file(HubPath(small)) == path)
    #expect(try hub.file(HubPath(small)) == path)
    #expect(warnings.withLock { $0.count } == 1)
  }

  @Test func noServerIsSaidQuickly() throws {
    let folder = try ScratchFolder()
    var settings = try HubSettings(environment: [
      "HF_HOME": folder.path, "HF_ENDPOINT": "http://127.0.0.1:9",
    ])
    settings.firstWait = .milliseconds(20)
    let start = ContinuousClock.now
    let failure = try refusal(of: small, settings)
    #expect(failure?.kind == .unavailable)
    #expect(failure?.problem.lowercased().contains("connect") == true)
    #expect(.now - start < .seconds(3))
  }

  @Test func anotherBranchPositionSharesTheContent() throws {
    let downloads = try Downloads()
    let first = try downloads.fetch(large)
    let second = try downloads.fetch("\(large)@5e142a4b65ebbac7b40a627cac14f4f7f049340c")
    #expect(first != second)
    #expect(try downloads.blobs().count == 1)
    #expect(try downloads.server.requests().filter { $0.storage }.count == 1)
  }

  @Test func aBranchThatMovesIsFollowed() throws {
    let downloads = try Downloads()
    let first = try downloads.fetch(small, "moves")
    let second = try downloads.fetch(small, "moves")
    #expect(first.contains(LocalHub.commit) && !second.contains(LocalHub.commit))
    #expect(second.contains("/snapshots/"))
    // The cache remembers the new place; a commit stays what it is.
    var offline = downloads
    offline.isOffline = true
    #expect(try offline.fetch(small) == second)
    #expect(try offline.fetch("\(small)@\(LocalHub.commit)") == first)
    let failure = try downloads.failure("\(large)@\(LocalHub.commit)", "moves")
    #expect(failure.problem.contains("another commit"))
  }

  @Test func twoAtATimeFetchOnce() async throws {
    let downloads = try Downloads()
    let paths = try await withThrowingTaskGroup(of: String.self) { group in
      for _ in 0..<3 { group.addTask { try downloads.fetch(large, "slow") } }
      return try await group.reduce(into: Set()) { $0.insert($1) }
    }
    #expect(paths.count == 1)
    #expect(try downloads.server.requests().filter { $0.storage }.count == 1)
  }

  @Test func anInterruptedRunKeepsItsPart() throws {
    var downloads = try Downloads()
    let start = ContinuousClock.now
    downloads.monitor.check = {
      if .now - start > .seconds(1) { throw Failure(.interrupted, problem: "interrupted") }
    }
    #expect(try downloads.failure(large, "slow").kind == .interrupted)
    let left = try downloads.blobs()
    #expect(left.count == 1 && left.first?.key.hasSuffix(".incomplete") == true)
    downloads.monitor = RunMonitor()
    #expect(try isWhole(try downloads.fetch(large), large))
    #expect(try downloads.server.requests().last { $0.storage }?.range != nil)
  }

  @Test func anUnknownCertificateIsRefused() throws {
    let folder = try ScratchFolder()
    let made = try RunningProcess(
      "openssl",
      [
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2", "-keyout",
        folder.file("key"), "-out", folder.file("certificate"),
      ]
    ).wait()
    try #require(made.code == 0, "\(made.errors)")
    try folder.write(folder.read("key") + folder.read("certificate"), to: "both")
    let server = try LocalHub(certificate: folder.file("both"))
    var settings = try HubSettings(environment: [
      "HF_HOME": folder.path, "HF_ENDPOINT": server.endpoint(),
    ])
    let failure = try refusal(of: small, settings)
    #expect(failure?.problem.contains("cannot be trusted") == true)
    settings.certificates = folder.file("certificate")
    let path = try fetch(small, settings)
    #expect(try isWhole(path, small))
    // From TLS to plain text, where the storage of this server is: refused.
    let downgrade = try refusal(of: large, settings)
    #expect(downgrade?.problem.contains("from https to http") == true)
  }
}
