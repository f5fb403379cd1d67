import Base
import Foundation
import Records

/// The shards of one split: written under temporary names, cut where an utterance would go past the
/// limits, named all together.
final class ShardSet {
  let split: String
  private let pattern: ShardPattern
  private let limits: Limits
  private let level: Int
  private var files: [AtomicFile] = []
  private var writer: RecordWriter?
  private var records = 0
  private var bytes = 0
  private(set) var entries: [ShardManifest.File] = []

  /// When a shard is full.
  struct Limits {
    var records: Int?
    var bytes: Int
  }

  init(split: String, pattern: ShardPattern, limits: Limits, level: Int) {
    self.split = split
    self.pattern = pattern
    self.limits = limits
    self.level = level
  }

  /// Begins an utterance of so many parts and bytes: all of it goes into one shard.
  func begin(_ header: StreamHeader, parts: Int, byteCount: Int) throws {
    let isFull =
      limits.records.map { records + parts > $0 } ?? false || bytes + byteCount > limits.bytes
    if writer != nil, records > 0, isFull { try endShard() }
    records += parts
    bytes += byteCount
    if let writer {
      if writer.header != header { try writer.startSegment(header) }
    } else {
      try openShard(header)
    }
  }

  /// Adds a part of the utterance.
  func write(_ record: Record) throws { try writer?.write(record) }

  private func openShard(_ header: StreamHeader) throws {
    let file = try AtomicFile(path: pattern.path(split: split, number: files.count))
    files.append(file)
    writer = try RecordWriter(
      descriptor: file.descriptor, path: file.path, header: header, level: level)
  }

  private func endShard() throws {
    guard let writer, let file = files.last else { return }
    try writer.finish()
    try file.seal()
    entries.append(
      ShardManifest.File(
        name: String(file.path.dropFirst(pattern.folder(split: split).count)),
        bytes: writer.bytesWritten, tally: writer.trailers.reduce(Tally()) { $0 + $1.tally },
        digests: writer.trailers.map(\.orderedDigest)))
    self.writer = nil
    records = 0
    bytes = 0
  }

  /// Ends the last shard; a split that nothing fell to has one empty shard, which is a result.
  func end(_ header: StreamHeader) throws {
    if files.isEmpty { try openShard(header) }
    try endShard()
  }

  /// Gives the shards their names.
  func commit() throws { for file in files { try file.commit() } }

  /// Removes shards of an earlier set that this one has not replaced.
  func removeStale() throws {
    let folder = pattern.folder(split: split)
    let names = try? FileManager.default.contentsOfDirectory(atPath: folder.isEmpty ? "." : folder)
    for name in names ?? [] {
      guard let number = pattern.number(inFileName: name, split: split), number >= files.count
      else { continue }
      guard unlink(folder + name) == 0 else {
        throw Failure.systemCall("remove", folder + name, writing: true, code: errno)
      }
    }
  }
}

/// The path of a temporary file that nobody takes for a result.
func temporaryPath(in folder: String, _ name: String) -> String {
  "\(folder).tts-shard-\(name).tmp-\(getpid())"
}
