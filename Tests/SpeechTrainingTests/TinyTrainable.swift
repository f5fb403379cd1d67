import Base
import ModelInterface
import NeuralNetworks
import Records
import Safetensors
import Tensors
import Testing
import Text

@testable import SpeechTraining
@testable import Training

struct TinyTokenizer: Tokenizer {
  var size = 10
  var digest = SHA256Digest(of: "tiny tokenizer".utf8)
  func encode(_ text: String) throws -> [Int32] { text.utf8.map { Int32($0 % 10) } }
  func decode(_ ids: [Int32]) throws -> String { ids.map(String.init).joined() }
}

/// Learns y = x W + b + table[token] on latents with noise: enough to see order, noise, statistics
/// and voices in the result.
struct TinyTrainable: Trainable {
  static let width = 3
  var parameters: [String: Tensor] = [
    "weight": Tensor((0..<9).map { Float($0) * 0.1 }, shape: [3, 3]),
    "bias": Tensor([0.5, -0.5, 0]),
    "table": Tensor((0..<30).map { Float($0 % 7) * 0.1 }, shape: [10, 3]),
    "unused": Tensor([1, 2]),
  ]
  var buffers: [String: Tensor] = ["mean": .zeros([3]), "std": Tensor(repeating: 1, shape: [3])]
  var latentWidth = TinyTrainable.width
  var voiceWidth = TinyTrainable.width
  var frameRate = 12.5
  var tokenizer: any Tokenizer = TinyTokenizer()
  var codecDigest = SHA256Digest(of: "tiny codec".utf8)
  var teacherDigest: SHA256Digest?

  var layers = 1
  /// Matrices that suit Muon.
  var blocks = ["weight": [1, 2]]
  /// Whether the loss is no number.
  var isBroken = false

  func check(_ options: LossOptions) throws {}
  func activationBytes(positions: Int, recomputing layers: Int) throws -> Int { 12 * positions }
  func frozenPart(training names: Set<String>) -> FrozenPart? { nil }
  func features(
    of example: TrainingExample, part: FrozenPart, buffers: [String: Tensor]
  ) throws -> FrozenFeatures { FrozenFeatures(part: part, values: example.latents) }
  func digest(of part: FrozenPart, buffers: [String: Tensor]) -> SHA256Digest { .zero }
  func orthogonalBlocks(_ name: String, includingHead: Bool) -> [Int]? {
    blocks[name]
  }
  func decays(_ name: String) -> Bool { name != "table" && !name.hasSuffix(".embed.weight") }
  func adapted(_ options: LowRankOptions, seed: UInt64) throws -> any Trainable { self }
  func trains(_ name: String, in tuning: Tuning) -> Bool {
    switch tuning {
    case .full: true
    case .head: name == "bias"
    case .text: name == "table"
    default: name != "bias"
    }
  }

  func loss(
    of batch: [TrainingExample], parameters: [String: Tensor], buffers: [String: Tensor],
    options: LossOptions, isEvaluation: Bool, random: inout RandomNumbers
  ) throws -> LossReport {
    let mean = try #require(buffers["mean"])
    let weight = try #require(parameters["weight"])
    let bias = try #require(parameters["bias"])
    let table = try #require(parameters["table"])
    let x = concatenateRows(batch.map(\.latents)) - mean
    let noise = Tensor(random.normal(x.count), shape: x.shape)
    let distills = isEvaluation || random.uniform() < options.lsd.distillationProbability
    let tokens = batch.flatMap { example in
      (0..<example.latents.rows).map { example.tokens[$0 % example.tokens.count] }
    }
    let voices = batch.reduce(Float(0)) { $0 + ($1.voice?.values.reduce(0, +) ?? 0) }
    var y = (x + noise * 0.1).product(transposed: weight) + bias
    y = y + table.gatherRows(tokens)
    var loss = (y - x + voices * 1e-3).squared().mean()
    if isBroken, !isEvaluation { loss = loss * .nan }
    if distills { loss = loss + bias.squared().sum() * 0.01 }
    var metrics = ["loss": Double(loss.scalar)]
    if distills { metrics["flow_distill"] = 1 }
    return LossReport(loss: loss, metrics: metrics)
  }

  func buffers(
    _ buffers: [String: Tensor], movedTowards batch: [TrainingExample], decay: Float
  ) -> [String: Tensor] {
    var statistics = ChannelStatistics(width: latentWidth)
    for example in batch { statistics.add(example.latents) }
    let result = statistics.result()
    let new = self.buffers(mean: result.mean, deviation: result.deviation)
    return buffers.merging(new) { $0 * decay + $1 * (1 - decay) }
  }

  func buffers(mean: [Float], deviation: [Float]) -> [String: Tensor] {
    ["mean": Tensor(mean), "std": Tensor(deviation)]
  }

  func synthesizer(parameters: [String: Tensor], buffers: [String: Tensor]) throws
    -> any Synthesizer
  {
    TinySynthesizer(level: try #require(parameters["bias"]).values[0])
  }

  func write(parameters: [String: Tensor], buffers: [String: Tensor], to directory: String) throws {
    let tensors = parameters.merging(buffers) { $1 }
    _ = try writeTensors(
      tensors.map { ($0.key, $0.value) }, to: directory + "/model.safetensors")
  }
}

/// Says a wave as long as the text, as loud as the weights are large and as the voice's name is long.
struct TinySynthesizer: Synthesizer {
  struct Speaker: Voice {
    var positions = 1
    var volume: Float = 1
    func write(to path: String) throws {}
  }

  var level: Float
  var sampleRate = 100
  var frameRate = 12.5
  var latentWidth = TinyTrainable.width

  func normalized(_ latents: Tensor) -> Tensor { latents }
  func voice(of samples: [Float]) throws -> any Voice { Speaker() }
  func voice(ofLatents latents: Tensor) throws -> any Voice { Speaker() }
  func voice(file: String) throws -> any Voice {
    Speaker(volume: Float(try readFile(file).count) / 16)
  }
  func defaultVoice() throws -> any Voice { Speaker() }
  func inBatches() -> any Synthesizer { self }

  func speak(
    _ nextText: () throws -> String?, voice: any Voice, options: GenerationOptions, name: String,
    onPiece: ((PieceTrace) throws -> Void)?, onAudio: ([Float]) throws -> Void
  ) throws -> GenerationSummary {
    let volume = try #require(voice as? Speaker).volume
    var random = RandomNumbers(seed: options.seed, name: name)
    var summary = GenerationSummary()
    while let text = try nextText() {
      if text == "mute" { throw Failure(.badInput, problem: "nothing to say") }
      summary.pieces += 1
      if text == "late" { summary.endlessPieces += 1 }
      for _ in 0..<(text == "endless" ? .max : text.utf8.count) {
        try onAudio((0..<10).map { _ in 0.5 * level * volume * (random.uniform() - 0.5) })
      }
      if let first = text.utf8.first { try onAudio([Float(first) / 1000]) }
    }
    return summary
  }
}

/// Writes a shard of synthetic utterances.
func writeShard(
  _ path: String, ids: Range<Int>, frames: Int? = nil,
  header: StreamHeader = StreamHeader(stages: [Stage(tool: "made-up", version: 1)]),
  change: (inout Record, Int) -> Void = { _, _ in }
) throws {
  let file = try AtomicFile(path: path)
  let writer = try RecordWriter(file: file, header: header)
  for number in ids {
    var record = Record(id: "utterance-\(number)")
    record.speaker = "speaker-\(number % 3)"
    record.text = "one two three"
    record.frameRate = 12.5
    var random = RandomNumbers(seed: 5, name: record.id)
    let count = frames ?? 5 + number * 7 % 20
    let values = random.normal(count * 3).map { $0 * 2 + 1 }
    record.arrays["latents"] = ArrayData(values, shape: [count, 3])
    record.arrays["tokens"] = ArrayData((0..<4).map { Int32(($0 + number) % 10) }, shape: [4])
    change(&record, number)
    try writer.write(record)
  }
  try writer.finish()
}
