import Base
import ModelInterface
import NeuralNetworks
import Safetensors
import Tensors
import TestSupport
import Testing

@testable import ResembleEnhance

/// Networks beside the package's, with packed weights and with tensors as training has them.
@Suite struct NetworkTests {
  @Test(arguments: [true, false]) func uNet(isPacked: Bool) throws {
    let cases = try Cases("denoiser")
    let sizes = DenoiserSizes(try SmallModel.shapes(), prefix: "denoiser.")
    let weights = try SmallModel.weights(packing: isPacked ? .float32 : nil)
    let net = try UNet(
      weights["denoiser"]["net"], width: sizes.width, levels: sizes.levels, middle: sizes.middle)
    #expect(difference(net(try cases.image("unet.input")), try cases.image("unet.output")) < 1e-5)
  }

  @Test(arguments: [true, false]) func autoencoder(isPacked: Bool) throws {
    let cases = try Cases("lcfm")
    let weights = try SmallModel.weights(packing: isPacked ? .float32 : nil)["lcfm"]["ae"]
    let autoencoder = try Autoencoder(weights, SmallModel.sizes())
    let latents = autoencoder.encode(try cases.steps("ae.mel"))
    #expect(difference(latents, try cases.steps("ae.latent")) < 1e-5)
    let decoded = autoencoder.decode(try cases.steps("ae.latent"))
    #expect(difference(decoded, try cases.steps("ae.decoded")) < 1e-5)
    let head = try MelHead(weights["head"], SmallModel.sizes())
    #expect(
      difference(head(try cases.steps("ae.decoded")), try cases.steps("ae.head")) < 1e-5)
  }

  @Test func residualBlockOfSmallGroups() throws {
    let cases = try Cases("lcfm")
    let prefix = "block.weight."
    var tensors: [String: Tensor] = [:]
    for name in cases.file.names where name.hasPrefix(prefix) {
      tensors[String(name.dropFirst(prefix.count))] = try cases.tensor(name)
    }
    let block = try ResidualBlock(Weights(tensors, subject: "block"), channels: 64)
    #expect(
      difference(block(try cases.steps("block.input")), try cases.steps("block.output")) < 1e-5)
  }

  @Test func timeEmbedding() throws {
    let cases = try Cases("lcfm")
    let embedding = TimeEmbedding(width: 128)
    #expect(try embedding.frequencies == cases.tensor("embedding.frequency").values)
    let output = embedding(try cases.tensor("embedding.t").values)
    #expect(difference(output, try cases.tensor("embedding.output")) < 1e-6)
  }

  @Test(arguments: [true, false]) func flowNetwork(isPacked: Bool) throws {
    let cases = try Cases("lcfm")
    let network = try FlowNetwork(
      SmallModel.weights(packing: isPacked ? .float32 : nil)["lcfm"]["cfm"]["net"],
      SmallModel.sizes())
    let velocity = network(
      try cases.steps("wn.z"), time: TimeEmbedding(width: 128)(try cases.tensor("wn.t").values),
      conditions: network.conditions(try cases.steps("wn.condition")))
    #expect(difference(velocity, try cases.steps("wn.velocity")) < 1e-5)
  }

  @Test func timeGrid() throws {
    let json = try Cases("lcfm").json
    let times = FlowTimes(divisor: 4)
    for (count, points) in try #require(json["grid"]?.object) {
      let count = try #require(Int(count))
      for (index, point) in try #require(points.array).enumerated() {
        #expect(abs(times.at(Double(index) / Double(count)) - (point.double ?? .nan)) < 1e-9)
      }
    }
    for (index, point) in try #require(json["grid_divisor_3"]?.array).enumerated() {
      #expect(
        abs(FlowTimes(divisor: 3).at(Double(index) / 4) - (point.double ?? .nan)) < 1e-9)
    }
  }

  @Test func solvers() throws {
    let cases = try Cases("lcfm")
    let (weights, sizes) = (try SmallModel.weights()["lcfm"], try SmallModel.sizes())
    let flow = Flow(
      network: try FlowNetwork(weights["cfm"]["net"], sizes), embedding: TimeEmbedding(width: 128),
      times: FlowTimes(divisor: 4))
    let latents = try Autoencoder(weights["ae"], sizes).encode(try cases.steps("solve.mel")) * 6
    let noise = try cases.steps("solve.noise")
    for item in try #require(cases.json["solve"]?.array) {
      let name = try #require(item["name"]?.string)
      let tau = Float(try #require(item["tau"]?.double))
      var calls = 0
      let end = flow.solve(
        from: noise * tau + latents * (1 - tau), condition: try cases.steps("solve.condition"),
        solver: try #require(FlowSolver(rawValue: item["solver"]?.string ?? "")),
        evaluations: Int(try #require(item["nfe"]?.integer)), onStep: { calls += 1 })
      #expect(calls == Int(try #require(item["calls"]?.integer)), "\(name)")
      #expect(difference(end * (1 / 6), try cases.steps(name + ".latent")) < 1e-5, "\(name)")
    }
  }
}
