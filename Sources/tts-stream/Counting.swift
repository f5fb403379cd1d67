import ArgumentParser
import Base
import Filters
import Foundation
import Records

/// How many records.
struct Count: Tool {
  static let tool = ToolDescription(
    name: "tts-stream count", abstract: "Count records.",
    examples: ["tts-stream count shards/*.ttsr"],
    discussion: "Files are counted from their trailers, without reading the records.")
  @Flag(help: "One line for each operand, with its name.") var each = false
  @OptionGroup var operands: Operands
  @OptionGroup(title: "General") var common: CommonOptions

  func execute(_ run: ToolRun) throws {
    let output = try ByteOutput(path: nil)
    var total = 0
    for path in operands.paths {
      try run.checkInterrupted()
      let count = try Summary(path: path).tally.records
      total += count
      if each { try output.write("\(count)  \(path)\n") }
    }
    if !each { try output.write("\(total)\n") }
    try output.finish()
  }
}

/// What the trailers say.
struct Stat: Tool {
  static let tool = ToolDescription(
    name: "tts-stream stat", abstract: "Print counts, durations and digests.",
    examples: ["tts-stream stat shards/*.ttsr", "tts-stream stat --json train.ttsr"],
    discussion: "Files are summed up from their trailers, without reading the records.")
  @Flag(help: "Print one JSON object.") var json = false
  @OptionGroup var operands: Operands
  @OptionGroup(title: "General") var common: CommonOptions

  func execute(_ run: ToolRun) throws {
    var sum = Tally()
    var (segments, blocks) = (0, 0)
    var tools: [String] = []
    for path in operands.paths {
      try run.checkInterrupted()
      let summary = try Summary(path: path)
      sum += summary.tally
      segments += summary.trailers.count
      blocks += summary.trailers.reduce(0) { $0 + $1.recordsPerBlock.count }
      for tool in summary.headers.flatMap(\.stages).map(\.tool) where !tools.contains(tool) {
        tools.append(tool)
      }
    }
    let output = try ByteOutput(path: nil)
    if json {
      try output.write(Stat.json(sum, segments, blocks, tools).canonicalBytes + [10])
    } else {
      try output.write(Stat.text(sum, segments, blocks, tools))
    }
    try output.finish()
  }

  private static func json(
    _ sum: Tally, _ segments: Int, _ blocks: Int, _ tools: [String]
  ) -> JSON {
    [
      "records": .integer(Int64(sum.records)), "rejected": .integer(Int64(sum.rejected)),
      "bytes": .integer(Int64(sum.bytes)), "segments": .integer(Int64(segments)),
      "blocks": .integer(Int64(blocks)), "tools": JSON(tools),
      "audio_seconds": .number(sum.seconds), "latent_seconds": .number(sum.latentSeconds),
      "samples": .object(
        Dictionary(
          uniqueKeysWithValues: sum.samples.map { (String($0), .integer(Int64($1))) })),
      "frames": .object(sum.frames.mapValues { .integer(Int64($0)) }),
      "digest_any_order": .string(sum.digest.description),
      "ids_any_order": .string(sum.ids.description),
    ]
  }

  private static func text(
    _ sum: Tally, _ segments: Int, _ blocks: Int, _ tools: [String]
  ) -> String {
    var lines: [(String, String)] = [
      ("records", "\(sum.records)"), ("rejected", "\(sum.rejected)"), ("bytes", "\(sum.bytes)"),
      ("segments", "\(segments)"), ("blocks", "\(blocks)"),
      ("made by", tools.isEmpty ? "-" : tools.joined(separator: ", ")),
    ]
    for (rate, count) in sum.samples.sorted(by: { $0.key < $1.key }) {
      lines.append(("audio", "\(time(Double(count) / Double(rate))) at \(rate) Hz"))
    }
    for rate in sum.frames.keys.sortedByCodePoints {
      let seconds = Double(sum.frames[rate] ?? 0) / (Double(rate) ?? .infinity)
      lines.append(("latents", "\(time(seconds)) at \(rate) frames a second"))
    }
    lines.append(("digest", "\(sum.digest)"))
    lines.append(("ids", "\(sum.ids)"))
    return lines.map { name, value in
      name + String(repeating: " ", count: max(1, 10 - name.count)) + value + "\n"
    }.joined()
  }

  /// Hours, minutes and seconds.
  private static func time(_ seconds: Double) -> String {
    let whole = Int(min(seconds, 1e15))
    return String(
      format: "%d:%02d:%06.3f", whole / 3600, whole / 60 % 60, seconds - Double(whole / 60 * 60))
  }
}

/// What a stream holds, in one number.
struct Digest: Tool {
  static let tool = ToolDescription(
    name: "tts-stream digest", abstract: "Print one digest for all records of the operands.",
    examples: [
      "test $(tts-stream digest all.ttsr) = $(tts-stream digest shards/*.ttsr)",
      "tts-stream digest --ids corpus.ttsr",
    ],
    discussion: """
      The digest does not depend on order, compression or the number of files: that of a split, a \
      shuffle or a merge is that of the whole. Files are summed up from their trailers, except with \
      --ordered.
      """)
  @Flag(help: "Digest of the ids only: the same before and after a filter that keeps them all.")
  var ids = false
  @Flag(help: "Digest that depends on the order; reads all records.") var ordered = false
  @Flag(help: "One line for each operand, with its name.") var each = false
  @OptionGroup var operands: Operands
  @OptionGroup(title: "General") var common: CommonOptions

  func validate() throws {
    guard !(ids && ordered) else {
      throw ValidationError("--ids and --ordered exclude each other.")
    }
  }

  func execute(_ run: ToolRun) throws {
    let output = try ByteOutput(path: nil)
    var sum = SHA256Digest.zero
    var hasher = SHA256Hasher()
    for path in operands.paths {
      try run.checkInterrupted()
      if each { hasher = SHA256Hasher() }
      var digest = SHA256Digest.zero
      if ordered {
        let reader = try openStream(path)
        while let block = try reader.nextBlock() {
          for hash in block.hashes { hasher.update(hash.bytes) }
          try run.checkInterrupted()
        }
        digest = hasher.finish()
      } else {
        let tally = try Summary(path: path).tally
        digest = ids ? tally.ids : tally.digest
        sum = sum + digest
      }
      if each { try output.write("\(digest)  \(path)\n") }
    }
    if !each { try output.write("\(ordered ? hasher.finish() : sum)\n") }
    try output.finish()
  }
}
