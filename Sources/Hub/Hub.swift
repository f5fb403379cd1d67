public import Base

/// Files of a model hub: found in the cache that Python's huggingface_hub shares, else fetched into
/// it.
///
/// A name with a commit is looked up without the network once it is here. A branch or tag is asked
/// about each time, and taken from the cache when the server cannot be asked.
public struct Hub: Sendable {
  private let readSettings: @Sendable () throws -> HubSettings
  private let monitor: RunMonitor
  /// What was asked for, so that the server is asked once a run.
  private let answers = Locked<[HubPath: Result<String, Failure>]>([:])

  /// A hub whose settings are read when it is first needed.
  public init(
    settings: @autoclosure @escaping @Sendable () throws -> HubSettings = try HubSettings(),
    monitor: RunMonitor = .current
  ) {
    readSettings = settings
    self.monitor = monitor
  }

  /// The local path of a file, which is fetched when it is not in the cache.
  ///
  /// - Throws: `noInput` when it is not to be had (no such file, no access, offline); `unavailable`
  ///   when the server cannot be reached; `inputOutput` when what came is wrong or cannot be kept.
  public func file(_ name: HubPath) throws -> String {
    if let answer = answers.withLock({ $0[name] }) { return try answer.get() }
    do {
      let path = try find(name)
      answers.withLock { $0[name] = .success(path) }
      return path
    } catch let failure as Failure {
      answers.withLock { $0[name] = .failure(failure) }
      throw failure
    }
  }

  /// The local path of a file that is in the cache; the network is left alone.
  public func cachedFile(_ name: HubPath) throws -> String? {
    HubCache(folder: try readSettings().cache).file(name)
  }

  /// Whether there is a token to show to the server.
  public func hasToken() throws -> Bool { try readSettings().token != nil }

  private func find(_ name: HubPath) throws -> String {
    let settings = try readSettings()
    let cache = HubCache(folder: settings.cache)
    let known = cache.file(name)
    if let known, name.commit != nil || settings.isOffline { return known }
    guard !settings.isOffline else { throw Failure.offline(name, cache: settings.cache) }
    let server = try HubServer(settings, monitor: monitor)
    let facts: HubFileFacts
    do {
      facts = try ask(server, name, settings, once: known != nil)
    } catch let failure as Failure where failure.kind == .unavailable {
      guard let known else { throw failure }
      monitor.warn("\(failure.description); the file in the cache is used")
      return known
    }
    let path = cache.snapshot(name, commit: facts.commit)
    if fileExists(path) {
      // A cache that cannot be written still serves.
      try? cache.setReference(name, commit: facts.commit)
      return path
    }
    let blob = cache.blob(name, etag: facts.etag)
    try createDirectory(String(blob.dropLast(facts.etag.count + 1)))
    try cache.setReference(name, commit: facts.commit)
    return try cache.withLock(name, etag: facts.etag, monitor: monitor) {
      if !fileExists(blob) {
        try HubDownload(name: name, facts: facts, settings: settings, monitor: monitor)
          .run(server, to: blob)
      }
      return try cache.link(name, commit: facts.commit, etag: facts.etag)
    }
  }

  private func ask(_ server: HubServer, _ name: HubPath, _ settings: HubSettings, once: Bool) throws
    -> HubFileFacts
  {
    var retries = Retries(settings, monitor)
    while true {
      do { return try server.facts(of: name) } catch let fault as TransferFault {
        guard !once, try retries.next(after: fault, of: name) else {
          throw Failure.unreachable(name, fault.problem, kept: false)
        }
      }
    }
  }
}
