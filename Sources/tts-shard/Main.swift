import ArgumentParser
import Base
import Filters
import Foundation
import Records

@main
struct Shard: Tool {
  static let tool = ToolDescription(
    name: "tts-shard",
    abstract: "Write a record stream as numbered shard files with a manifest.",
    examples: [
      "tts-shard -o 'shards/train-%05d.ttsr' latents/*.ttsr",
      "tts-shard --split train=0.95,valid=0.05 --shuffle 1 -o 'shards/{split}-%05d.ttsr' all.ttsr",
    ],
    discussion: """
      Rejected records are left out, with all parts of their id. All files get their names only when
      all are whole; shards of an earlier set go, and the manifest beside them comes last.
      """)

  @OptionGroup var input: InputOptions

  @Option(
    name: [.short, .long],
    help: ArgumentHelp(
      "Names of the shards: one number as in train-%05d.ttsr, and {split} with --split.",
      valueName: "pattern"))
  var output: String?

  @Option(help: ArgumentHelp("Begin a new shard after this many records.", valueName: "n"))
  var maxRecords: Int?

  @Option(
    help: ArgumentHelp(
      "Begin a new shard before the records of one exceed this size, uncompressed (K, M, G, T).",
      valueName: "bytes"))
  var maxSize = ByteCount(bytes: 256 << 20)

  @Option(help: ArgumentHelp("Put the ids into a random order of this seed.", valueName: "seed"))
  var shuffle: UInt64?

  @Option(
    help: ArgumentHelp(
      "Divide the ids by their hash into parts with these names and shares, as in train=0.95,valid=0.05.",
      valueName: "parts"))
  var split: Split?

  @Option(
    help: ArgumentHelp(
      "Name of the manifest (default: the pattern without its number, as in train.manifest.json).",
      valueName: "file"))
  var manifest: String?

  @OptionGroup var level: LevelOptions
  @OptionGroup var stageID: StageIDOption
  @OptionGroup var common: CommonOptions

  func validate() throws {
    if let maxRecords, maxRecords < 1 {
      throw ValidationError("--max-records must be at least 1.")
    }
  }

  private var stage: Stage {
    Stage(
      Self.tool,
      StageParameters([
        "max-records": maxRecords.map(String.init) ?? "", "max-size": String(maxSize.bytes),
        "shuffle": shuffle.map(String.init) ?? "", "split": split?.description ?? "",
      ]))
  }

  func execute(_ run: ToolRun) throws {
    if stageID.isAsked { return try printStageID(stage) }
    guard let output else {
      throw ValidationError("Say how the shards are named, as in -o 'shards/train-%05d.ttsr'.")
    }
    let pattern = try ShardPattern(output)
    for text in [output, manifest].compactMap({ $0 }) {
      let namesSplit = text.contains("{split}")
      if split != nil, !namesSplit { throw Failure.splitNotNamed(text) }
      if split == nil, namesSplit { throw Failure.splitNotGiven(text) }
    }
    try ShardRun(
      stage: stage, pattern: pattern, manifest: manifest, split: split, shuffle: shuffle,
      limits: .init(records: maxRecords, bytes: maxSize.bytes), level: level.number, run: run
    ).perform(RecordInput(input))
  }
}
