import Base
import ModelInterface
import NeuralNetworks
import Safetensors
import Tensors
import TestSupport
import Testing

@testable import ResembleEnhance

/// The denoiser and the whole chain beside the package's.
@Suite struct EnhancerTests {
  private func networks(_ changes: String = "") throws -> EnhancerNetworks {
    let path = fixture("ResembleEnhance/model/hparams.yaml")
    let yaml = String(decoding: try readFile(path, limit: 1 << 16), as: UTF8.self)
    let kept = yaml.split(separator: "\n").filter { line in
      !changes.split(separator: "\n").contains { $0.prefix(9) == line.prefix(9) }
    }
    let (weights, shapes) = (try SmallModel.weights(), try SmallModel.shapes())
    return try EnhancerNetworks(
      weights, shapes,
      HyperParameters(
        yaml: kept.joined(separator: "\n") + "\n" + changes, part: .enhancer, file: path),
      denoiser: Denoiser(
        weights["denoiser"], DenoiserSizes(shapes, prefix: "denoiser."), hop: 420))
  }

  @Test func denoiser() throws {
    let cases = try Cases("denoiser")
    let denoiser = try networks().denoiser
    let audio = try cases.tensor("audio")
    for (length, name) in [
      (1300, "output"), (841, "output.841"), (1260, "output.1260"), (1261, "output.1261"),
    ] {
      let output = denoiser(audio.reshaped([1, audio.count]).columns(0..<length))
      #expect(difference(output, try cases.tensor(name)) < 1e-5, "\(length) samples")
    }
    let silence = denoiser(.zeros([1, 900]))
    #expect(silence.shape == [1, 900] && silence.values.allSatisfy { $0 == 0 })
  }

  /// The whole network's sizes, with weights that a formula makes.
  @Test func wholeUNet() throws {
    let cases = try Cases("denoiser")
    let full = try #require(cases.json["unet_full"])
    let seed = UInt64(try #require(full["seed"]?.integer))
    var weights: [String: Tensor] = [:]
    let shapes = try JSON.parse(
      readFile(fixture("ResembleEnhance/layout/denoiser.json"), limit: 1 << 20))
    for (name, values) in try #require(full["weights"]?.object) {
      let shape = try #require(shapes["net." + name]?.array).map { Int($0.integer ?? 0) }
      let (offset, scale) = (values.array?[0].double ?? 0, values.array?[1].double ?? 0)
      weights[name] = Tensor(
        Self.uniform(name, seed, shape.reduce(1, *)).map { Float(offset) + Float(scale) * $0 },
        shape: shape)
    }
    let sizes = DenoiserSizes()
    let net = try UNet(
      Weights(weights, subject: "formula", packing: .float32), width: sizes.width,
      levels: sizes.levels, middle: sizes.middle)
    let input = Tensor(Self.uniform("input", seed, 3 * 35 * 18), shape: [3, 35, 18])
    let output = net(input.permuted([1, 2, 0]).reshaped([1, 35, 18, 3]))
    #expect(difference(output, try cases.image("unet_full.output")) < 1e-5)
  }

  private static func uniform(_ name: String, _ seed: UInt64, _ count: Int) -> [Float] {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return (0..<count).map { index in
      var z = hash &+ seed &+ UInt64(index + 1) &* 0x9e37_79b9_7f4a_7c15
      z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
      z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
      z ^= z >> 31
      return Float(z >> 40) * 0x1p-23 - 1
    }
  }

  /// One chunk as the package's inference takes it, with injected noise.
  private func enhance(
    _ networks: EnhancerNetworks, _ audio: Tensor, _ options: EnhancementOptions, prior: Tensor,
    noise: Tensor
  ) -> Tensor {
    let peak = max(1e-7, audio.values.map(abs).max() ?? 0)
    let chunk = audio.values.map { $0 / peak } + [Float](repeating: 0, count: 441)
    let output = networks.enhance(
      Tensor(chunk, shape: [1, chunk.count]), options,
      EnhancerNetworks.Draws(prior: prior, noise: noise), onStep: {})
    return Tensor(output.values.prefix(audio.count).map { $0 * peak })
  }

  @Test func wholeChain() throws {
    let cases = try Cases("enhance")
    let networks = try networks()
    for item in try #require(cases.json["cases"]?.array) {
      let name = try #require(item["name"]?.string)
      var options = EnhancementOptions()
      options.solver = try #require(FlowSolver(rawValue: item["solver"]?.string ?? ""))
      options.evaluations = Int(try #require(item["nfe"]?.integer))
      options.denoising = Float(try #require(item["lambda"]?.double))
      options.temperature = Float(try #require(item["tau"]?.double))
      let output = enhance(
        networks, try cases.tensor("audio"), options, prior: try cases.steps("prior"),
        noise: try cases.steps("noise"))
      // The small model makes 1e-5 of a change of 1e-6 in its input.
      #expect(difference(output, try cases.tensor(name + ".output")) < 2e-5, "\(name)")
    }
    let autoencoder = try self.networks("lcfm_training_mode: ae\n")
    let audio = try cases.tensor("audio")
    func coded(_ audio: Tensor) throws -> Tensor {
      enhance(
        autoencoder, audio, EnhancementOptions(), prior: try cases.steps("prior"),
        noise: try cases.steps("noise"))
    }
    let output = try coded(audio)
    // What rounding the input makes of the output says how near this model can come.
    var random = RandomNumbers(seed: 1, name: "rounding")
    let rounded = audio * (Tensor(random.normal(audio.count)) * 1e-6 + 1)
    let apart = difference(output, try cases.tensor("autoencoder.output"))
    let sensitivity = difference(try coded(rounded), output)
    #expect(apart < max(1e-5, 2 * sensitivity), "\(apart), \(sensitivity)")
  }

  /// A constant has no phases but those of rounding, which the denoiser sees: nobody can repeat what is made of
  /// it.
  @Test(arguments: ["silence", "constant", "clipped"]) func extremes(name: String) throws {
    let cases = try Cases("enhance")
    var options = EnhancementOptions()
    options.evaluations = 2
    let output = enhance(
      try networks(), try cases.tensor(name + ".audio"), options,
      prior: try cases.steps(name + ".prior"), noise: try cases.steps(name + ".noise"))
    let expected = try cases.tensor(name + ".output")
    let apart = difference(output, expected)
    switch name {
    case "silence": #expect(output.values.allSatisfy { abs($0) < 1e-7 })
    case "constant": #expect(apart < 0.5, "\(apart)")
    default: #expect(apart < 2e-5, "\(apart)")
    }
  }
}
