import Base
import ModelInterface
import NeuralNetworks
import Safetensors
import Tensors
import TestSupport
import Testing

@testable import PocketTTS

/// Low-rank updates: beside the weights in training, in them elsewhere.
@Suite struct AdapterTests {
  let folder: ScratchFolder
  let model: PocketTTSModel

  init() throws {
    folder = try ScratchFolder()
    model = try PocketTTSModel(path: TestSupport.fixture("PocketTTS/lsd_train"))
  }

  private func options(_ targets: [String] = []) -> LowRankOptions {
    var options = LowRankOptions()
    options.rank = 3
    options.alpha = 6
    options.targets = targets
    return options
  }

  /// Updates that change something.
  private func moved(_ trainable: PocketTTSTrainable) -> [String: Tensor] {
    trainable.parameters.reduce(into: [:]) { result, entry in
      guard entry.key.hasSuffix(".lora_B") else {
        result[entry.key] = entry.value
        return
      }
      var random = RandomNumbers(seed: 2, name: entry.key)
      result[entry.key] = Tensor(
        random.normal(entry.value.count).map { $0 * 0.05 }, shape: entry.value.shape)
    }
  }

  private var batch: [TrainingExample] {
    (0..<3).map { row in
      var random = RandomNumbers(seed: 3, name: "\(row)")
      let frames = 5 + 3 * row
      return TrainingExample(
        latents: Tensor(random.normal(frames * 32), shape: [frames, 32]),
        voice: row == 0 ? nil : Tensor(random.normal(4 * 32), shape: [4, 32]),
        tokens: (0..<4 + row).map { Int32(7 * $0 % 50) })
    }
  }

  private func loss(
    _ trainable: any Trainable, _ parameters: [String: Tensor]
  ) throws -> Tensor {
    var random = RandomNumbers(seed: 5, name: "loss")
    return try trainable.loss(
      of: batch, parameters: parameters, buffers: trainable.buffers, options: LossOptions(),
      isEvaluation: true, random: &random
    ).loss
  }

  /// All kinds of matrices, those inside of the derivative too.
  private static let everything = ["*.weight"]

  @Test(arguments: [[], everything]) func updatesAreWhatMergingMakesOfThem(
    _ targets: [String]
  ) throws {
    let base = try PocketTTSTrainable(start: TrainingStart(model, TrainingTask()))
    let adapted = try #require(
      try base.adapted(options(targets), seed: 1) as? PocketTTSTrainable)
    // At the start they change nothing.
    let start = try loss(base, base.parameters).scalar
    #expect(abs(try loss(adapted, adapted.parameters).scalar - start) <= abs(start) * 1e-6)

    let parameters = moved(adapted)
    let adapter = adapted.adapter(parameters, options(targets))
    var merged = base.parameters
    for (name, tensor) in base.parameters where name.hasPrefix("flow_lm.") {
      merged[name] = merge(tensor, String(name.dropFirst(8)), with: [(adapter, 1)])
    }
    let value = try loss(adapted, parameters).scalar
    #expect(abs(value - start) > 1e-3)
    #expect(abs(try loss(base, merged).scalar - value) < 1e-5 * max(1, abs(value)))

    // Their gradients follow from that of the matrix: dB = s dW Aᵀ, dA = s Bᵀ dW.
    let name = "flow_lm.transformer.layers.0.linear1.weight"
    func gradients(_ names: [String], _ trainable: any Trainable, _ all: [String: Tensor]) throws
      -> [Tensor]
    {
      let tape = Tape()
      let variables = try names.map { tape.watch(try #require(all[$0])) }
      let loss = try loss(trainable, all.merging(zip(names, variables)) { $1 })
      return try tape.gradients(of: loss, for: variables).map { try #require($0) }
    }
    let whole = try gradients([name], base, merged)[0]
    let parts = try gradients([name + ".lora_A", name + ".lora_B"], adapted, parameters)
    let (a, b) = (
      try #require(parameters[name + ".lora_A"]), try #require(parameters[name + ".lora_B"])
    )
    func transposed(_ x: Tensor) -> Tensor {
      let values = x.values
      return Tensor(
        (0..<x.columns).flatMap { c in (0..<x.rows).map { values[$0 * x.columns + c] } },
        shape: [x.columns, x.rows])
    }
    let scale: Float = 2
    expectClose(parts[1], whole.product(transposed: a) * scale)
    expectClose(parts[0], transposed(b).product(transposed: transposed(whole)) * scale)
  }

  private func expectClose(_ x: Tensor, _ y: Tensor) {
    let largest = y.values.map { abs($0) }.max() ?? 0
    let worst = zip(x.values, y.values).map { abs($0 - $1) }.max() ?? 0
    #expect(x.shape == y.shape && largest > 0 && worst < 1e-4 * largest)
  }

  @Test func adaptersAreFilesOfTheirOwnModel() throws {
    let adapted = try #require(
      try PocketTTSTrainable(start: TrainingStart(model, TrainingTask())).adapted(
        options(), seed: 1) as? PocketTTSTrainable)
    let path = folder.file("adapter.safetensors")
    try adapted.adapter(moved(adapted), options()).write(to: path)
    let read = try LowRankAdapter(path: path)
    #expect(read.rank == 3 && read.alpha == 6 && read.scale == 2)

    func latents(_ model: any SpeechModel) throws -> [Float] {
      let generator = try #require(
        try model.synthesizer(precision: .float32) as? Generator)
      var samples: [Float] = []
      _ = try generator.speak(
        "Hello.", voice: try generator.defaultVoice(),
        options: GenerationOptions(temperature: 0, endOfSpeechThreshold: 1e9, maxFrames: 4),
        name: "x"
      ) { samples += $0 }
      return samples
    }
    let plain = try latents(model)
    let changed = try latents(try model.adapted([(read, path, 1)]))
    #expect(changed != plain)
    #expect(try latents(try model.adapted([(read, path, 0)])) == plain)
    // Several add up.
    let twice = try latents(try model.adapted([(read, path, 0.25), (read, path, 0.75)]))
    let worst = zip(twice, changed).map { abs($0 - $1) }.max() ?? 1
    #expect(worst < 1e-4 * (changed.map { abs($0) }.max() ?? 0))
    // What is written speaks the same, and has other weights, to which the adapter does not belong.
    try model.adapted([(read, path, 1)]).write(to: folder.file("merged"))
    let merged = try PocketTTSModel(path: folder.file("merged"))
    #expect(try latents(merged) == changed)
    #expect(throws: Failure.self) { try merged.adapted([(read, path, 1)]) }

    try writeSafetensors(["x": ArrayData([1] as [Float])], metadata: [:], to: path)
    #expect(throws: Failure.self) { try LowRankAdapter(path: path) }
  }
}
