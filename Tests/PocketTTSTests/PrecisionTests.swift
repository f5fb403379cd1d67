import Base
import Foundation
import Mimi
import ModelInterface
import NeuralNetworks
import Tensors
import TestSupport
import Testing

@testable import PocketTTS

/// What reduced precisions cost: latents of teacher-forced frames, and the audio of those latents.
@Suite struct PrecisionTests {
  struct Limit: Sendable {
    var format: WeightFormat
    /// Relative error of the latents.
    var latents: Double
    /// Log-spectral distance of the audio, dB.
    var spectrum: Double
  }

  static let limits = [
    Limit(format: .bfloat16, latents: 0.01, spectrum: 1),
    Limit(format: .int8, latents: 0.03, spectrum: 2),
  ]

  @Test(arguments: limits) func smallModel(_ limit: Limit) throws {
    // The fixture's weights are bfloat16 already: others, that rounding changes.
    let folder = try ScratchFolder()
    try copyModel(TestSupport.fixture("PocketTTS/lsd"), to: folder.path) { $0 * 1.00317 }
    #expect(try check(folder.path, limit) > 1e-4)
  }

  /// A model of full size, where one is given.
  @Test(.enabled(if: ProcessInfo.processInfo.environment["TTS_MODEL"] != nil), arguments: limits)
  func fullModel(_ limit: Limit) throws {
    try check(#require(ProcessInfo.processInfo.environment["TTS_MODEL"]), limit)
  }

  @discardableResult
  private func check(_ path: String, _ limit: Limit) throws -> Double {
    let model = try PocketTTSModel(path: path)
    let whole = try #require(try model.synthesizer(precision: .float32) as? Generator)
    let reduced = try #require(try model.synthesizer(precision: limit.format) as? Generator)
    let frames = try latents(whole, forcing: nil)
    let others = try latents(reduced, forcing: frames)
    var (error, energy) = (0.0, 0.0)
    for (a, b) in zip(others.values, frames.values) {
      error += Double(a - b) * Double(a - b)
      energy += Double(b) * Double(b)
    }
    let relative = (error / energy).squareRoot()
    var (decoder, reducedDecoder) = (whole.mimi.makeDecoder(), reduced.mimi.makeDecoder())
    let audio = decoder.decode(whole.flowLM.denormalize(frames))
    let reducedAudio = reducedDecoder.decode(whole.flowLM.denormalize(others))
    let distance = logSpectralDistance(reducedAudio, audio)
    print("\(limit.format.rawValue): latents \(relative), log-spectral distance \(distance) dB")
    #expect(relative < limit.latents)
    #expect(distance < limit.spectrum)
    return relative
  }

  /// 200 frames with recorded noise; what goes in at each step is what `forced` says was made before.
  private func latents(_ generator: Generator, forcing forced: Tensor?) throws -> Tensor {
    let flowLM = generator.flowLM
    var state = flowLM.transformer.initialState()
    flowLM.transformer.remember(
      flowLM.embed(tokens: (0..<40).map { 5 * $0 % 200 }), state: &state)
    let channels = flowLM.bos.count
    let times = flowLM.head.stepTimes(1)
    var random = RandomNumbers(seed: 3, name: "precision")
    var input = flowLM.bos.reshaped([1, channels])
    let rows = (0..<200).map { frame in
      let noise = Tensor(random.normal(channels).map { $0 * 0.5 }, shape: [1, channels])
      let hidden = flowLM.hidden(flowLM.transformer(flowLM.embed(latents: input), state: &state))
      let latent = flowLM.head.sample(hidden, noise: noise, times: times)
      input = forced.map { $0.rows(frame..<frame + 1) } ?? latent
      return latent
    }
    return concatenateRows(rows)
  }
}
