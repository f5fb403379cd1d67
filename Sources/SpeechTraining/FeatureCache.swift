import Base
import Foundation
import ModelInterface
import Processes
import Records
import Safetensors
import Tensors
import Training

/// What the frozen part of a model makes of the utterances of a corpus, computed once and kept in
/// record shards: training then costs what trains.
///
/// Of each utterance there are some variants, each with a voice prompt of its own and with text or
/// voice left out as often as in training. The shards name the weights, the data and the options that
/// they belong to, and are refused with others.
struct FeatureCache: Sendable {
  private let folder: String
  private let part: FrozenPart
  private let variants: Int
  private let stage: Stage
  private let entries: Int
  private var files: [RecordFile] = []

  /// Entries in a shard: some hundred megabytes.
  private static let entriesOfShard = 256

  /// What a cache is made of.
  struct Source {
    let trainable: any Trainable
    let buffers: [String: Tensor]
    let corpus: Corpus
    let loader: ExampleLoader
    let options: TrainingOptions
    let part: FrozenPart
  }

  /// Opens a cache, and computes what of it is not there.
  ///
  /// - Parameter group: shares out the shards that are to be computed.
  /// - Throws: `configuration` where the folder holds features of something else.
  init(
    folder: String, _ source: Source, variants: Int, group: ProcessGroup,
    observer: TrainingObserver
  ) throws {
    self.folder = folder
    self.variants = variants
    part = source.part
    entries = source.corpus.count * variants
    stage = Self.stage(source, variants: variants)
    if group.isRoot {
      try createDirectory(folder)
      removeLeftovers(in: folder)
    }
    try group.agree()
    let shards = (entries + Self.entriesOfShard - 1) / Self.entriesOfShard
    for shard in 0..<shards where shard % group.size == group.rank {
      try compute(shard, of: shards, source, observer)
    }
    try group.agree()
    let paths = (0..<shards).map { Self.path(folder, $0) }
    files = try paths.map { try RecordFile(path: $0) }
  }

  private static func path(_ folder: String, _ shard: Int) -> String {
    let digits = String(shard)
    return
      "\(folder)/features-\(String(repeating: "0", count: max(0, 5 - digits.count)))\(digits).ttsr"
  }

  /// All that changes the features.
  private static func stage(_ source: Source, variants: Int) -> Stage {
    let options = source.options
    var parameters = options.examples.recorded.merging([
      "corpus": source.corpus.digest.description,
      "precision": options.usesBFloat16 ? "bf16" : "f32", "seed": "\(options.run.seed)",
      "text-dropout": "\(options.loss.textDropout)", "variants": "\(variants)",
      "voice-dropout": "\(options.loss.voiceDropout)",
    ]) { $1 }
    parameters["voice-bank"] = source.corpus.voices?.digest.description
    parameters["part"] =
      switch source.part {
      case .layers(let count): "layers \(count)"
      case .backbone: "backbone"
      }
    return Stage(
      tool: "tts-train features", version: 1, parameters: parameters,
      models: [
        "frozen": source.trainable.digest(of: source.part, buffers: source.buffers).description
      ], parents: source.corpus.header.leaves)
  }

  // MARK: Computing

  private func compute(
    _ shard: Int, of shards: Int, _ source: Source, _ observer: TrainingObserver
  ) throws {
    // What is not whole counts as absent; what is whole must belong here.
    if let file = try? RecordFile(path: Self.path(folder, shard)) {
      let found = file.headers.first?.stages.last
      guard found?.id == stage.id else {
        throw Failure.otherFeatures(folder, differing: found, from: stage)
      }
      if file.count == range(shard).count { return }
    }
    try write(shard, of: shards, source, observer)
  }

  private func range(_ shard: Int) -> Range<Int> {
    shard * Self.entriesOfShard..<min(entries, (shard + 1) * Self.entriesOfShard)
  }

  private func write(
    _ shard: Int, of shards: Int, _ source: Source, _ observer: TrainingObserver
  ) throws {
    let writer = try RecordWriter(
      file: AtomicFile(path: Self.path(folder, shard)),
      header: source.corpus.header.appending(stage),
      level: RecordWriter.fastestLevel)
    for entry in range(shard) {
      if observer.isInterrupted() { throw Failure.stopped }
      observer.progress("features: shard \(shard + 1) of \(shards), \(entry) of \(entries)")
      let (utterance, variant) = (entry / variants, entry % variants)
      let sample = BatchPlan.Sample(position: entry, utterance: utterance)
      var example = try source.loader.examples(
        [sample], seed: source.options.run.seed, variesPrompts: true)[0]
      var random = RandomNumbers(seed: source.options.run.seed, name: "features \(entry)")
      if random.uniform() < source.options.loss.textDropout { example.tokens = [] }
      if random.uniform() < source.options.loss.voiceDropout { example.voice = nil }
      let features = try ProductPrecision.inBFloat16(source.options.usesBFloat16) {
        try source.trainable.features(of: example, part: part, buffers: source.buffers)
      }
      try writer.write(record("\(utterance).\(variant)", example, features.values))
    }
    try writer.finish()
  }

  private func record(_ id: String, _ example: TrainingExample, _ features: Tensor) -> Record {
    var record = Record(id: id)
    func array(_ tensor: Tensor) -> ArrayData {
      ArrayData(tensor.values, shape: [tensor.rows, tensor.columns])
    }
    record.arrays["features"] = array(features)
    record.arrays["latents"] = array(example.latents)
    record.arrays["tokens"] = ArrayData(example.tokens)
    if let voice = example.voice { record.arrays["voice"] = array(voice) }
    return record
  }

  // MARK: Reading

  /// An utterance with its features.
  ///
  /// - Parameter seed: of the choice of the variant.
  func example(_ sample: BatchPlan.Sample, seed: UInt64) throws -> TrainingExample {
    var random = RandomNumbers(seed: seed, name: "variant \(sample.position)")
    let entry = sample.utterance * variants + random.index(below: variants)
    let (shard, place) = entry.quotientAndRemainder(dividingBy: Self.entriesOfShard)
    let record = try files[shard].read(place)
    func tensor(_ name: String) throws -> Tensor? {
      guard let array = record.arrays[name], array.shape.count == 2 else { return nil }
      return Tensor(try array.floats(), shape: array.shape)
    }
    guard let features = try tensor("features"), let latents = try tensor("latents"),
      let tokens = try record.arrays["tokens"]?.int32s()
    else { throw Failure.damagedFeatures(files[shard].path, record: record.id) }
    return TrainingExample(
      latents: latents, voice: try tensor("voice"), tokens: tokens,
      features: FrozenFeatures(part: part, values: features))
  }
}

extension Failure {
  /// Features of something else: says what.
  fileprivate static func otherFeatures(
    _ folder: String, differing found: Stage?, from wanted: Stage
  ) -> Failure {
    var differences: [String] = []
    if let found, found.tool == wanted.tool {
      if found.models != wanted.models { differences.append("weights") }
      differences += wanted.parameters.keys.filter {
        found.parameters[$0] != wanted.parameters[$0]
      }.sorted()
    }
    let what =
      differences.isEmpty ? "something else" : "other " + differences.joined(separator: ", ")
    return Failure(
      .configuration, subject: folder, problem: "it holds features of \(what)",
      remedy: "remove it, or name another folder with --cache")
  }

  fileprivate static func damagedFeatures(_ path: String, record: String) -> Failure {
    Failure(
      .badInput, subject: path, record: record, problem: "it is no record of features",
      remedy: "remove the file; it is made again")
  }

  static let nothingFrozen = Failure(
    .usage, problem: "--cache: what trains has nothing frozen before it",
    remedy: "use it with --tune head or last:N")

  static let movingStatistics = Failure(
    .usage, problem: "--cache: features do not follow statistics that move",
    remedy: "use --statistics model or data")
}
