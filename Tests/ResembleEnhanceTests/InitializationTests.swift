import Base
import Safetensors
import TestSupport
import Testing

@testable import ResembleEnhance

@Suite struct InitializationTests {
  /// Names and shapes of the package's own modules at full size.
  @Test(
    .enabled(if: hasFixture("ResembleEnhance/layout/enhancer.json")),
    arguments: zip(["enhancer", "denoiser"], ModelSpecification.names))
  func fullSizeIsThatOfThePackage(_ name: String, _ configuration: String) throws {
    let json = try JSON.parse(readFile(fixture("ResembleEnhance/layout/\(name).json")))
    let wanted = try #require(json.object).mapValues { $0.array?.compactMap(\.integer) ?? [-1] }
    let specification = try ModelSpecification(configuration)
    let layout = StateLayout(specification.parameters.part, specification.sizes.counts)
    let shapes = try #require(
      layout.shapes(specification.parameters, specification.sizes.letters))
    #expect(shapes.count == wanted.count)
    for (name, shape) in shapes { #expect(wanted[name] == shape, "\(name)") }
    let parameters = shapes.filter { !StateLayout.isConstant($0.name) }
      .reduce(0) { $0 + $1.shape.reduce(1, *) }
    #expect(parameters == (name == "enhancer" ? 356_147_285 : 10_617_235))
  }

  private func small() throws -> (file: SafetensorsFile, weights: InitialWeights) {
    let folder = fixture("ResembleEnhance/model")
    let parameters = try HyperParameters(
      yaml: String(decoding: readFile(folder + "/hparams.yaml"), as: UTF8.self), part: .enhancer,
      file: "hparams.yaml")
    let file = try SafetensorsFile(path: folder + "/model.safetensors")
    let shapes = Dictionary(uniqueKeysWithValues: file.names.map { ($0, file.shape(of: $0) ?? []) })
    return (file, InitialWeights(seed: 7, parameters: parameters, shapes: shapes))
  }

  /// Windows, filter banks and filters are the package's own.
  @Test(.enabled(if: hasFixture("ResembleEnhance/model/hparams.yaml")))
  func constantsAreThoseOfThePackage() throws {
    let (file, weights) = try small()
    var count = 0
    for name in file.names where StateLayout.isConstant(name) && !name.hasSuffix("_unsafe") {
      assertClose(weights.values(name), try file.floats(name), tolerance: 2e-6, name)
      count += 1
    }
    #expect(count == 31)
    #expect(weights.values("normalizer.running_mean_unsafe").map(\.isNaN) == [true])
  }

  @Test(.enabled(if: hasFixture("ResembleEnhance/model/hparams.yaml")))
  func weightsFollowPyTorchsDefaults() throws {
    let (file, weights) = try small()
    for name in file.names {
      #expect(weights.values(name).count == file.shape(of: name)?.reduce(1, *), "\(name)")
    }
    func within(_ name: String, _ fanIn: Int, _ comment: Comment? = nil) {
      let values = weights.values(name)
      let bound = 1 / Float(fanIn).squareRoot()
      let largest = values.reduce(0) { max($0, abs($1)) }
      #expect(largest <= bound && (values.count < 50 || largest > 0.9 * bound), "\(name)")
      #expect(Set(values).count > values.count / 2)
    }
    within("lcfm.ae.encoder.0.weight", 16 * 3)
    within("lcfm.ae.encoder.0.bias", 16 * 3)
    within("denoiser.net.input_proj.weight", 27)
    // Of a transposed convolution [in, out, kernel], what PyTorch takes for its inputs.
    let transposed = "vocoder.blocks.0.convt_pre.1"
    within("\(transposed).parametrizations.weight.original1", 5 * 14)
    within("\(transposed).bias", 5 * 14)
    #expect(weights.values("lcfm.ae.encoder.1.0.weight").allSatisfy { $0 == 1 })
    #expect(weights.values("lcfm.ae.encoder.1.0.bias").allSatisfy { $0 == 0 })
    #expect(weights.values("vocoder.blocks.1.amp_block.0.1.act.log_alpha").allSatisfy { $0 == 0 })
    // g is the length of v.
    let directions = weights.values("\(transposed).parametrizations.weight.original1")
    let lengths = (0..<5).map { row in
      directions[row * 70..<(row + 1) * 70].reduce(0) { $0 + $1 * $1 }.squareRoot()
    }
    assertClose(
      weights.values("\(transposed).parametrizations.weight.original0"), lengths, tolerance: 1e-6)
  }

  @Test func whichPartAConfigurationIsOf() throws {
    let folder = try ScratchFolder()
    let enhancer = try folder.write("num_mels: 16\nlcfm_z_scale: 6\n", to: "a.yaml")
    let denoiser = try folder.write("num_mels: 16\n", to: "b.yaml")
    let other = try folder.write("flow_lm:\n  dtype: float32\n", to: "c.yaml")
    #expect(ModelSpecification.isOne(enhancer) && ModelSpecification.isOne(denoiser))
    #expect(!ModelSpecification.isOne(other) && !ModelSpecification.isOne(folder.path))
    #expect(!ModelSpecification.isOne("english"))
    #expect(try ModelSpecification(enhancer).parameters.part == .enhancer)
    #expect(try ModelSpecification(denoiser).parameters.part == .denoiser)
    #expect(try ModelSpecification("resemble-enhance").parameters["lcfm_z_scale"] == .number(6))
  }
}
