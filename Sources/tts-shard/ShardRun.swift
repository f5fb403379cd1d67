import Base
import Filters
import Foundation
import Records

/// One run: reads all records, writes the shards of every split, then names them.
final class ShardRun {
  private let stage: Stage
  private let pattern: ShardPattern
  private let manifest: String?
  private let split: Split?
  private let run: ToolRun
  private let names: [String]
  private let sets: [ShardSet]
  private let shuffles: [Shuffle]
  private let ledger: IDLedger
  /// All stages of all that was read.
  private var header = StreamHeader()
  private var leftOut = (ids: 0, records: 0)
  private var seconds = 0.0

  init(
    stage: Stage, pattern: ShardPattern, manifest: String?, split: Split?, shuffle: UInt64?,
    limits: ShardSet.Limits, level: Int, run: ToolRun
  ) throws {
    self.stage = stage
    self.pattern = pattern
    self.manifest = manifest
    self.split = split
    self.run = run
    let names = split?.parts.map(\.name) ?? [""]
    self.names = names
    sets = names.map { ShardSet(split: $0, pattern: pattern, limits: limits, level: level) }
    for name in names { try Self.makeFolder(pattern.folder(split: name)) }
    let folder = pattern.folder(split: names[0])
    ledger = IDLedger(folder: folder)
    shuffles =
      shuffle.map { seed in names.map { Shuffle(seed: seed, folder: folder, name: $0) } } ?? []
  }

  private static func makeFolder(_ path: String) throws {
    guard !path.isEmpty else { return }
    do {
      try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    } catch {
      throw Failure.systemCall("create", path, writing: true, code: ENOTDIR)
    }
  }

  /// Reads everything, then writes and names the shards.
  func perform(_ input: RecordInput) throws {
    try read(input)
    try ledger.check()
    let header = header.appending(stage)
    for (set, shuffle) in zip(sets, shuffles) {
      try shuffle.forEach { parts, byteCount, forEachPart in
        try run.checkInterrupted()
        try set.begin(header, parts: parts, byteCount: byteCount)
        try forEachPart { try set.write(Record(encoded: $0)) }
      }
    }
    for set in sets { try set.end(header) }
    try giveNames(from: input.digest)
  }

  private func read(_ input: RecordInput) throws {
    var open: Utterance?
    let folder = pattern.folder(split: names[0])
    var lastHeader: StreamHeader?
    while let record = try input.next() {
      if lastHeader != input.header {
        lastHeader = input.header
        header = StreamHeader.merging([header, input.header])
      }
      let utterance =
        open ?? Utterance(id: record.id, spillPath: temporaryPath(in: folder, "parts"))
      try utterance.add(record)
      seconds += record.seconds ?? 0
      run.progress("\((seconds / 360).rounded() / 10) h read")
      open = record.isLastPart ? nil : utterance
      if open == nil { try take(utterance, from: input) }
    }
    header = StreamHeader.merging([header, input.header])
  }

  private func take(_ utterance: Utterance, from input: RecordInput) throws {
    guard !utterance.isRejected else {
      leftOut.ids += 1
      leftOut.records += utterance.parts
      return
    }
    try ledger.add(utterance.id, from: input.path)
    let part = split?.part(of: utterance.id) ?? 0
    guard shuffles.isEmpty else { return try shuffles[part].add(utterance) }
    let header = input.header.appending(stage)
    try sets[part].begin(header, parts: utterance.parts, byteCount: utterance.byteCount)
    try utterance.forEachPart { try sets[part].write(Record(encoded: $0)) }
  }

  // MARK: Names

  private func manifestPath(_ split: String) -> String {
    guard let manifest else { return pattern.manifestPath(split: split) }
    return manifest.split(separator: "{split}", omittingEmptySubsequences: false)
      .joined(separator: split)
  }

  /// Gives all shards their names, and last the manifests. In between no manifest claims anything.
  private func giveNames(from digest: SHA256Digest) throws {
    let manifests = try sets.map { try makeManifest($0, digest) }
    var gone = Set<String>()
    for name in names {
      let old = try? ShardManifest(path: manifestPath(name))
      gone.formUnion(old?.splits ?? [])
    }
    for name in gone.union(names) { unlink(manifestPath(name)) }
    for set in sets {
      try set.commit()
      try set.removeStale()
    }
    for name in gone.subtracting(names) {
      try ShardSet(split: name, pattern: pattern, limits: .init(bytes: 1), level: 1).removeStale()
    }
    for (name, manifest) in zip(names, manifests) {
      try AtomicFile.write(manifest.json.canonicalBytes + [10], to: manifestPath(name))
    }
    for manifest in manifests {
      run.count("shards", manifest.files.count)
      run.count("records", manifest.tally.records)
      let name = manifest.split.map { "\($0): " } ?? ""
      run.detail("\(name)\(manifest.files.count) shards, \(manifest.tally.records) records")
    }
    run.count("left out ids", leftOut.ids)
    run.count("left out records", leftOut.records)
    if leftOut.ids > 0 { run.say("left out \(leftOut.ids) rejected ids") }
  }

  private func makeManifest(_ set: ShardSet, _ digest: SHA256Digest) throws -> ShardManifest {
    var manifest = ShardManifest(stage: stage.id, from: digest)
    manifest.leftOut = leftOut
    let folder = pattern.folder(split: set.split)
    let own = manifestPath(set.split)
    let isBeside = own.lastIndex(of: "/").map { String(own[...$0]) } ?? "" == folder
    manifest.files = set.entries.map { entry in
      var entry = entry
      // A manifest elsewhere names the shards by their whole path.
      if !isBeside { entry.name = folder + entry.name }
      return entry
    }
    if let split {
      manifest.split = set.split
      manifest.splits = split.parts.map(\.name)
    }
    return manifest
  }
}
