import ArgumentParser
import Base
import Foundation
import ModelInterface
import ResembleEnhance
import Tensors

/// Times denoising and enhancing of noise: seconds for each second of it.
struct EnhanceBench: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "enhance", abstract: "Time denoising and enhancing.")

  @OptionGroup var options: BenchOptions
  @Option(help: "A model directory of Resemble-Enhance.") var model: String
  @Option(help: "Seconds of sound.") var duration = 2.0
  @Option(help: "Evaluations of the flow; 0 denoises.") var nfe: [Int] = [0, 8, 32, 64]
  @Option(help: "f32 or bf16.") var precision = "f32"

  func run() throws {
    ThreadBudget.limit = options.threads
    TensorMemory.kept = 2 << 30
    let start = ContinuousClock().now
    guard case .enhancement(let open) = ResembleEnhance.descriptor.opening,
      let format = WeightFormat(rawValue: precision)
    else { throw ValidationError("--precision is f32 or bf16") }
    let enhancer = try open(model).enhancer(precision: format)
    var random = RandomNumbers(seed: 0, name: "bench")
    let samples = random.normal(Int(duration * Double(enhancer.sampleRate))).map { 0.1 * $0 }
    func enhance(_ samples: [Float], evaluations: Int) throws {
      var settings = EnhancementOptions()
      settings.mode = evaluations == 0 ? .denoise : .enhance
      settings.evaluations = max(1, evaluations)
      var stream = try enhancer.makeStream(settings, onStep: { _ in })
      _ = try stream.enhance(samples) + stream.finish()
    }
    // What is needed is read when it is first used.
    let beginning = Array(samples.prefix(enhancer.sampleRate / 10))
    try enhance(beginning, evaluations: min(1, nfe.first ?? 0))
    var figures = ["load_s": (ContinuousClock().now - start) / .seconds(1)]
    for evaluations in nfe {
      let times = try (0..<options.runs).map { _ in
        try seconds { try enhance(samples, evaluations: evaluations) }
      }
      let name = evaluations == 0 ? "denoise_s" : "enhance_\(evaluations)_s"
      figures[name] = median(times) / duration
    }
    figures["memory_mb"] = peakMemory()
    report(figures, ["precision": precision])
  }
}
