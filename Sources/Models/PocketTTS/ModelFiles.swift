import Base
import Foundation
import Hub

/// Finds the files that a configuration names.
struct ModelFiles: Sendable {
  /// Where a configuration was read, which is where its relative paths start.
  enum Place: Sendable {
    case folder(String)
    case hub(HubPath)
    /// Nowhere: a known configuration names whole paths only.
    case known
  }

  /// The configuration, for messages.
  let file: String
  let place: Place
  let hub = Hub()

  /// The folder of a configuration on disk.
  var folder: String? { if case .folder(let folder) = place { folder } else { nil } }

  /// The local path of a named file. `hf://…` and URLs are looked for by their last component beside
  /// the configuration, others there and then from the working directory, as the official package
  /// does; what is on a hub is fetched when the cache does not have it.
  ///
  /// - Throws: `noInput` when it is not to be had; `unavailable` when it cannot be fetched now.
  func path(of named: String) throws -> String {
    if let near = localPath(of: named) { return near }
    guard let remote = try hubPath(of: named) else {
      throw Failure.missingFile(named, namedBy: file)
    }
    return try hub.file(remote)
  }

  /// The local path of the weights.
  ///
  /// - Parameters:
  ///   - named: the weights that can clone voices, which need an account on the hub.
  ///   - open: those that stand in when they are not to be had.
  func weights(_ named: String, open: String?) throws -> String {
    guard let open, let first = try hubPath(of: named), let second = try hubPath(of: open) else {
      return try path(of: named)
    }
    if let near = localPath(of: named) ?? localPath(of: open) { return near }
    if let here = try hub.cachedFile(first) { return here }
    // Without a token the answer is known: the hub need not be asked again in each run.
    if try !hub.hasToken(), let here = try hub.cachedFile(second) { return here }
    do { return try hub.file(first) } catch let failure as Failure
      where [.noInput, .unavailable].contains(failure.kind)
    {
      let isRefused = failure.kind == .noInput
      guard let path = isRefused ? try hub.file(second) : try hub.cachedFile(second) else {
        throw failure
      }
      RunMonitor.current.warn("\(failure.description); going on without voice cloning")
      return path
    }
  }

  private func localPath(of named: String) -> String? {
    let isRemote = ["hf://", "http://", "https://"].contains { named.hasPrefix($0) }
    var candidates: [String] = []
    if isRemote {
      let bare = named.split(separator: "@").first ?? named[...]
      if let folder, let name = bare.split(separator: "/").last {
        candidates = ["\(folder)/\(name)"]
      }
    } else if named.hasPrefix("/") {
      candidates = [named]
    } else if let folder {
      candidates = ["\(folder)/\(named)", named]
    } else if case .known = place {
      candidates = [named]
    }
    return candidates.first(where: fileExists)
  }

  private func hubPath(of named: String) throws -> HubPath? {
    do {
      if HubPath.isMeant(by: named) { return try HubPath(named) }
      if case .hub(let configuration) = place, !named.contains("://"), !named.hasPrefix("/") {
        return try configuration.beside(named)
      }
      return nil
    } catch let failure as Failure {
      throw Failure.configuration(
        file, "it names '\(named)': \(failure.problem)", failure.remedy ?? "correct the path")
    }
  }

  // MARK: Voices

  /// The local path of a voice: a file, a name on a hub, or the name of a voice that comes with the
  /// model.
  ///
  /// - Parameter configuration: a known configuration's name: the official voices are bound to its
  ///   weights.
  /// - Throws: `noInput`, with the names that there are, when it is none of these.
  func voice(_ voice: String, configuration: String?) throws -> String {
    if HubPath.isMeant(by: voice) { return try hub.file(HubPath(voice)) }
    if fileExists(voice), !isDirectory(voice) { return voice }
    let isName = !voice.isEmpty && !voice.contains { "/.".contains($0) }
    if isName, let folder, fileExists("\(folder)/voices/\(voice).safetensors") {
      return "\(folder)/voices/\(voice).safetensors"
    }
    let official = configuration == nil ? [] : KnownConfigurations.voices
    if let configuration, official.contains(voice) {
      return try hub.file(
        HubPath(KnownConfigurations.voicePath(voice, configuration: configuration)))
    }
    guard isName else { throw Failure.systemCall("open", voice, code: ENOENT) }
    throw Failure.unknownVoice(voice, known: voiceNames(configuration: configuration))
  }

  /// The names of the voices that come with the model, sorted.
  func voiceNames(configuration: String?) -> [String] {
    Set(configuration == nil ? [] : KnownConfigurations.voices).union(ownVoices).sorted()
  }

  /// The names of the voices beside the configuration.
  private var ownVoices: [String] {
    guard let folder else { return [] }
    let suffix = ".safetensors"
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder + "/voices")) ?? []
    return names.filter { $0.hasSuffix(suffix) && !$0.hasPrefix(".") }
      .map { String($0.dropLast(suffix.count)) }
  }
}
