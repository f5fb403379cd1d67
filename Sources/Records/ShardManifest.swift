public import Base
import Foundation

/// What a set of shards holds: written beside them when all are whole, and read by whoever trains on
/// them. It says more than the trailers only in that it says which files belong together.
public struct ShardManifest: Sendable, Equatable {
  /// One shard.
  public struct File: Sendable, Equatable {
    /// Its name, relative to the manifest's folder.
    public var name: String
    /// Its size in bytes.
    public var bytes: Int
    /// What its trailers say.
    public var tally: Tally
    /// The digest in order of each of its segments.
    public var digests: [SHA256Digest]

    /// A shard.
    public init(name: String, bytes: Int, tally: Tally, digests: [SHA256Digest]) {
      self.name = name
      self.bytes = bytes
      self.tally = tally
      self.digests = digests
    }
  }

  /// The shards, in order.
  public var files: [File] = []
  /// Which part of a division this is, and the names of all parts; nil where nothing was divided.
  public var split: String?
  /// The names of all parts of the division.
  public var splits: [String] = []
  /// The id of the stage that wrote the shards.
  public var stage: String
  /// The any-order digest of all that was read, for all parts of the division.
  public var from: SHA256Digest
  /// Ids and records left out because they were rejected, for all parts of the division.
  public var leftOut = (ids: 0, records: 0)

  /// A manifest without files.
  public init(stage: String, from: SHA256Digest) {
    self.stage = stage
    self.from = from
  }

  /// The tally of all shards.
  public var tally: Tally { files.reduce(Tally()) { $0 + $1.tally } }

  /// The manifest as JSON.
  public var json: JSON {
    var members = Self.json(tally)
    members["format"] = "ttstools shards"
    members["version"] = 1
    members["stage"] = .string(stage)
    members["from"] = .string(from.description)
    members["left_out"] = [
      "ids": .integer(Int64(leftOut.ids)), "records": .integer(Int64(leftOut.records)),
    ]
    if let split {
      members["split"] = .string(split)
      members["splits"] = JSON(splits)
    }
    members["files"] = .array(
      files.map { file in
        var entry = Self.json(file.tally)
        entry["name"] = .string(file.name)
        entry["file_bytes"] = .integer(Int64(file.bytes))
        entry["digests"] = JSON(file.digests.map(\.description))
        return .object(entry)
      })
    return .object(members)
  }

  private static func json(_ tally: Tally) -> [String: JSON] {
    [
      "records": .integer(Int64(tally.records)), "record_bytes": .integer(Int64(tally.bytes)),
      "digest_any_order": .string(tally.digest.description),
      "ids_any_order": .string(tally.ids.description),
      "audio_seconds": .number(tally.seconds), "latent_seconds": .number(tally.latentSeconds),
    ]
  }

  /// Reads the names and sizes of the files of a manifest; durations are not kept.
  ///
  /// - Parameter path: its name in messages.
  public init(_ json: JSON, path: String) throws {
    guard json["format"]?.string == "ttstools shards", let stage = json["stage"]?.string,
      let from = json["from"]?.string.flatMap(SHA256Digest.init(hexadecimal:)),
      let files = json["files"]?.array
    else { throw Failure.manifest(path, "it is not a manifest of shards") }
    guard json["version"]?.integer == 1 else { throw Failure.manifestVersion(path) }
    self.init(stage: stage, from: from)
    split = json["split"]?.string
    splits = json["splits"]?.stringElements ?? []
    leftOut.ids = json["left_out"]?["ids"]?.integer ?? 0
    leftOut.records = json["left_out"]?["records"]?.integer ?? 0
    for entry in files {
      guard let name = entry["name"]?.string, let bytes = entry["file_bytes"]?.integer,
        let records = entry["records"]?.integer, let recordBytes = entry["record_bytes"]?.integer,
        let digest = entry["digest_any_order"]?.string.flatMap(SHA256Digest.init(hexadecimal:)),
        let ids = entry["ids_any_order"]?.string.flatMap(SHA256Digest.init(hexadecimal:)),
        let digests = entry["digests"]?.stringElements?
          .compactMap(SHA256Digest.init(hexadecimal:))
      else { throw Failure.manifest(path, "an entry of its files is incomplete") }
      var tally = Tally()
      tally.records = records
      tally.bytes = recordBytes
      tally.digest = digest
      tally.ids = ids
      self.files.append(File(name: name, bytes: bytes, tally: tally, digests: digests))
    }
  }

  /// Reads a manifest.
  public init(path: String) throws {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw Failure.systemCall("open", path, code: errno)
    }
    do {
      try self.init(JSON.parse([UInt8](data)), path: path)
    } catch let failure as Failure {
      throw failure.about(path)
    }
  }

  /// Refuses shards that a manifest beside them does not list, or lists with another size: leftovers
  /// of an earlier set, or files changed since. Where a folder has no manifest everything goes.
  public static func check(_ paths: [String]) throws {
    for (folder, files) in Dictionary(grouping: paths, by: folder(of:)) {
      let names = try? FileManager.default.contentsOfDirectory(
        atPath: folder.isEmpty ? "." : folder)
      let manifests = try (names ?? []).filter {
        $0 == "manifest.json" || $0.hasSuffix(".manifest.json")
      }.sortedByCodePoints.map { try ShardManifest(path: folder + $0) }
      guard !manifests.isEmpty else { continue }
      let sizes = Dictionary(
        manifests.flatMap(\.files).map { ($0.name, $0.bytes) }, uniquingKeysWith: { $1 })
      for path in files.sortedByCodePoints {
        guard let size = sizes[String(path.dropFirst(folder.count))] else {
          throw Failure.unlistedShard(path)
        }
        var status = stat()
        guard stat(path, &status) == 0 else { throw Failure.systemCall("open", path, code: errno) }
        guard Int(status.st_size) == size else { throw Failure.changedShard(path) }
      }
    }
  }

  private static func folder(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
  }

  /// Equality of all parts.
  public static func == (left: ShardManifest, right: ShardManifest) -> Bool {
    left.json == right.json
  }
}

extension Failure {
  static func manifest(_ path: String, _ problem: String) -> Failure {
    Failure(.badInput, subject: path, problem: problem, remedy: "make the shards again")
  }

  static func manifestVersion(_ path: String) -> Failure {
    Failure(
      .unsupportedFormat, subject: path, problem: "a newer version of the manifest",
      remedy: "use a newer ttstools")
  }

  static func unlistedShard(_ path: String) -> Failure {
    Failure(
      .badInput, subject: path, problem: "no manifest beside it lists this shard",
      remedy: "it belongs to an earlier set: remove it, or name the shards of one manifest")
  }

  static func changedShard(_ path: String) -> Failure {
    Failure(
      .badInput, subject: path, problem: "its size is not what the manifest beside it says",
      remedy: "make the shards again")
  }
}
