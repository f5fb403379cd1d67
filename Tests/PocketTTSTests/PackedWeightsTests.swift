import Base
import Foundation
import Glibc
import ModelInterface
import Safetensors
import Tensors
import TestSupport
import Testing

@testable import NeuralNetworks
@testable import PocketTTS

/// A copy of a model directory whose float32 weights have passed through a function.
func copyModel(_ model: String, to folder: String, _ change: (Float) -> Float = { $0 }) throws {
  for name in ["config.yaml", "tokenizer.json", "tokenizer.model", "voice.wav"]
  where FileManager.default.fileExists(atPath: "\(model)/\(name)") {
    try FileManager.default.copyItem(atPath: "\(model)/\(name)", toPath: "\(folder)/\(name)")
  }
  let file = try SafetensorsFile(path: "\(model)/model.safetensors")
  var arrays: [String: ArrayData] = [:]
  for name in file.names {
    arrays[name] = ArrayData(try file.floats(name).map(change), shape: file.shape(of: name))
  }
  try writeSafetensors(arrays, metadata: [:], to: "\(folder)/model.safetensors")
}

@Suite struct PackedWeightsTests {
  let folder: ScratchFolder

  init() throws {
    folder = try ScratchFolder()
    try copyModel(TestSupport.fixture("PocketTTS/lsd"), to: folder.path)
  }

  private func speech(_ format: WeightFormat) throws -> [Float] {
    let synthesizer = try PocketTTSModel(path: folder.path).synthesizer(precision: format)
    var samples: [Float] = []
    _ = try synthesizer.speak(
      "Hello there.", voice: try synthesizer.defaultVoice(),
      options: GenerationOptions(endOfSpeechThreshold: 1e9, maxFrames: 8), name: "x"
    ) { samples += $0 }
    return samples
  }

  @Test(arguments: WeightFormat.allCases)
  func packedWeightsAreThoseOfMemory(_ format: WeightFormat) throws {
    let before = try speech(format)
    let model = try PocketTTSModel(path: folder.path)
    let paths = try model.pack(precision: format)
    #expect(paths.map { folder.has(URL(fileURLWithPath: $0).lastPathComponent) } == [true, true])
    let after = try speech(format)
    #expect(!before.isEmpty && before == after)
    // Nothing is packed again.
    let weights = try model.files.flowLM(packing: format)
    _ = try FlowLM(weights, model.configuration)
    let store = try #require(weights.store)
    #expect(store.isComplete)
    // Panels lie on cache lines.
    let file = try SafetensorsFile(path: paths[0])
    let first = try #require(file.bytes("transformer.layers.0.linear1.weight")?.baseAddress)
    #expect(UInt(bitPattern: first).isMultiple(of: 64))
  }

  @Test func otherWeightsAreNotMistakenForThem() throws {
    let model = try PocketTTSModel(path: folder.path)
    _ = try model.pack(precision: .float32)
    let before = try speech(.float32)
    // Of the same size, a moment later.
    try FileManager.default.removeItem(atPath: folder.file("config.yaml"))
    try? FileManager.default.removeItem(atPath: folder.file("tokenizer.json"))
    try? FileManager.default.removeItem(atPath: folder.file("tokenizer.model"))
    try? FileManager.default.removeItem(atPath: folder.file("voice.wav"))
    try copyModel(TestSupport.fixture("PocketTTS/lsd"), to: folder.path) { $0 * 1.01 }
    let changed = try speech(.float32)
    #expect(changed != before)
    _ = try PocketTTSModel(path: folder.path).pack(precision: .float32)
    #expect(try speech(.float32) == changed)
  }

  @Test func damagedFilesAreMadeAnew() throws {
    let model = try PocketTTSModel(path: folder.path)
    let before = try speech(.int8)
    let paths = try model.pack(precision: .int8)
    for path in paths {
      let whole = try Data(contentsOf: URL(fileURLWithPath: path))
      for size in [0, 7, 100, whole.count / 2, whole.count - 1] {
        try whole.prefix(size).write(to: URL(fileURLWithPath: path))
        #expect(try speech(.int8) == before)
      }
      try whole.write(to: URL(fileURLWithPath: path))
    }
    // One that holds something else.
    try writeSafetensors(
      ["transformer.layers.0.linear1.weight": ArrayData([1, 2, 3] as [Float])],
      metadata: SafetensorsFile(path: paths[0]).metadata, to: paths[0])
    #expect(try speech(.int8) == before)
    _ = try model.pack(precision: .int8)
    #expect(try speech(.int8) == before)
  }

  @Test func smallModelsLeaveNothingBehind() throws {
    let before = try folder.names()
    _ = try speech(.float32)
    #expect(try folder.names() == before)
  }

  @Test func whoMayNotWriteIsToldByPackAlone() throws {
    // The name is taken by a folder.
    let path = folder.file("model.flow_lm-f32.packed")
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    #expect(!(try speech(.float32)).isEmpty)
    #expect(throws: Failure.self) {
      _ = try PocketTTSModel(path: folder.path).pack(precision: .float32)
    }
  }

  @Test func oneOfSeveralKeepsThem() throws {
    let store = try PackedWeights(
      of: folder.file("model.safetensors"), part: "big", format: .float32)
    let tensor = Tensor([Float](repeating: 0.5, count: 4096 * 1100), shape: [4096, 1100])
    _ = store.matrix("w", outputs: 4096, inputs: 1100, format: .float32) { tensor }
    // Somebody else is at it.
    let lock = open(store.path + ".lock", O_WRONLY | O_CREAT, 0o666)
    #expect(flock(lock, LOCK_EX) == 0)
    store.keep()
    #expect(!folder.has("model.big-f32.packed"))
    close(lock)
    store.keep()
    #expect(folder.has("model.big-f32.packed") && !folder.has("model.big-f32.packed.lock"))
    let again = try PackedWeights(
      of: folder.file("model.safetensors"), part: "big", format: .float32)
    _ = again.matrix("w", outputs: 4096, inputs: 1100, format: .float32) {
      Issue.record("packed again")
      return tensor
    }
    #expect(again.isComplete)
  }
}
