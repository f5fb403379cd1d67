import Base
import Foundation
import NeuralNetworks
import Safetensors
import Tensors
import TestSupport
import Testing

@testable import ResembleEnhance

/// Losses and gradients of the three trainings beside the package's.
@Suite struct StageTests {
  /// The variables of a tape, and weights of them.
  private struct Variables {
    let tape = Tape()
    let names: [String]
    let tensors: [Tensor]
    let weights: Weights

    init(_ path: String, prefix: String = "", where isWanted: (String) -> Bool = { _ in true })
      throws
    {
      let file = try SafetensorsFile(path: fixture(path))
      names = file.names.filter { $0.hasPrefix(prefix) && isWanted($0) }.sorted()
      let tape = tape
      tensors = try names.map { tape.watch(try Tensor(file: file, name: $0)) }
      weights = Weights(
        Dictionary(uniqueKeysWithValues: zip(names, tensors)), subject: path)
    }

    func gradients(of terms: [(name: String, loss: Tensor)]) -> [String: Tensor] {
      let sum = terms.dropFirst().reduce(terms[0].loss) { $0 + $1.loss }
      let gradients = tape.gradients(of: sum, for: tensors)
      return Dictionary(
        uniqueKeysWithValues: zip(names, gradients).compactMap { name, gradient in
          gradient.map { (name, $0) }
        })
    }
  }

  private static let model = "ResembleEnhance/model/model.safetensors"

  private func expectLosses(
    _ terms: [(name: String, loss: Tensor)], _ expected: JSON?, tolerance: Double = 1e-5
  ) throws {
    let expected = try #require(expected?.object)
    #expect(Set(terms.map(\.name)) == Set(expected.keys))
    for (name, loss) in terms {
      let value = expected[name]?.double ?? .nan
      #expect(abs(Double(loss.scalar) - value) <= tolerance * max(1, abs(value)), "\(name)")
    }
  }

  /// Gradients beside recorded values and norms.
  ///
  /// - Parameter others: what they are for an input with other roundings: where magnitudes are near 0 they
  ///   depend on these, and no two programs agree better.
  private func expectGradients(
    _ gradients: [String: Tensor], _ cases: Cases, _ prefix: String, norms: JSON?,
    removing part: String = "", others: [String: Tensor] = [:]
  ) throws {
    let norms = try #require(norms?.object)
    let largest = norms.values.compactMap(\.double).max() ?? 0
    for (name, norm) in norms {
      let norm = try #require(norm.double)
      let gradient = try #require(gradients[part + name], "\(name)")
      let found = gradient.sumOfSquares.squareRoot()
      let apart = others[part + name].map { zip($0.values, gradient.values).map { abs($0 - $1) } }
      let rounding = 3 * Double(apart?.max() ?? 0)
      #expect(
        abs(found - norm) < 1e-4 * norm + 1e-6 * largest + rounding, "\(name): \(found), \(norm)")
      guard cases.file.shape(of: prefix + name) != nil else { continue }
      let expected = try cases.tensor(prefix + name).values
      let step = gradient.count <= 64 ? 1 : (gradient.count / 32) | 1
      let values = gradient.values
      let thinned = stride(from: 0, to: values.count, by: step).map { values[$0] }
      #expect(thinned.count == expected.count, "\(name)")
      let top = Double(expected.map(abs).max() ?? 0)
      for (actual, wanted) in zip(thinned, expected) {
        #expect(
          abs(Double(actual) - Double(wanted)) < 3e-4 * top + 1e-6 * largest + rounding,
          "\(name): \(actual), \(wanted)")
      }
    }
  }

  @Test func denoiser() throws {
    let cases = try Cases("denoiser")
    let variables = try Variables(Self.model, prefix: "denoiser.net.")
    let stage = DenoiserStage(
      sizes: DenoiserSizes(try SmallModel.shapes(), prefix: "denoiser."), hop: 420)
    let losses = try stage.losses(
      variables.weights["denoiser"], mix: try cases.tensor("train.x"),
      target: try cases.tensor("train.y"))
    let loss = try #require(cases.json["train"]?["loss"]?.double)
    #expect(abs(Double(losses.terms[0].loss.scalar) - loss) < 1e-6)
    try expectGradients(
      variables.gradients(of: losses.terms), cases, "train.grad.",
      norms: cases.json["train"]?["gradient_norms"], removing: "denoiser.")
  }

  @Test func discriminators() throws {
    let cases = try Cases("discriminator")
    let path = "ResembleEnhance/discriminator/model.safetensors"
    let variables = try Variables(path)
    let sizes = Discriminators.Sizes(
      Dictionary(uniqueKeysWithValues: zip(variables.names, variables.tensors.map(\.shape))))
    let judge = try Discriminators(variables.weights, sizes)
    let constants = try Discriminators(variables.weights.detached, sizes)
    let (real, fake) = (try cases.tensor("real"), try cases.tensor("fake"))
    let scores = constants.scores(fake)
    for (index, score) in scores.mpd.enumerated() {
      #expect(difference(score, try cases.tensor("fake.mpd.\(index)")) < 1e-5)
    }
    for (index, score) in scores.mrd.enumerated() {
      #expect(difference(score, try cases.tensor("fake.mrd.\(index)")) < 1e-5)
    }
    let tape = Tape()
    let variable = tape.watch(fake)
    let (mpd, mrd) = constants.generatorLosses(variable)
    try expectLosses([("mpd", mpd), ("mrd", mrd)], cases.json["as_generator"])
    let slope = try #require(tape.gradients(of: mpd + mrd, for: [variable])[0])
    #expect(difference(slope, try cases.tensor("fake.gradient")) < 1e-4)

    let terms = judge.losses(fake: fake, real: real)
    try expectLosses(terms, cases.json["as_discriminator"])
    try expectGradients(
      variables.gradients(of: terms), cases, "discriminator.grad.",
      norms: cases.json["gradient_norms"])
    let longer = concatenateColumns([fake, fake.columns(0..<90)])
    try expectLosses(
      constants.losses(fake: longer, real: real), cases.json["as_discriminator_longer_fake"])
  }

  private func autoencoderStage() throws -> AutoencoderStage {
    let shapes = try SmallModel.shapes()
    let judge = try SafetensorsFile(
      path: fixture("ResembleEnhance/discriminator/model.safetensors"))
    return AutoencoderStage(
      sizes: try SmallModel.sizes(),
      mel: try LogMel(
        SmallModel.weights()["mel_fn"], shapes,
        HyperParameters(
          yaml: "n_fft: 1024\nwin_size: 1024\nnum_mels: 16\n", part: .enhancer, file: "test")),
      discriminatorSizes: Discriminators.Sizes(
        Dictionary(uniqueKeysWithValues: judge.names.map { ($0, judge.shape(of: $0) ?? []) })))
  }

  private func expectStatistics(
    _ statistics: [String: RunningStatistics], _ expected: JSON?
  ) throws {
    for (name, key) in [
      ("normalizer", AutoencoderStage.normalizer), ("estimator", AutoencoderStage.estimator),
    ] {
      let found = try #require(statistics[key])
      let mean = try #require(expected?["\(name).mean"]?.double)
      let variance = try #require(expected?["\(name).var"]?.double)
      #expect(abs(Double(found.mean) - mean) < 1e-6 * max(1, abs(mean)), "\(name)")
      #expect(abs(Double(found.variance) - variance) < 2e-6 * max(1, abs(variance)), "\(name)")
    }
  }

  private func autoencoderVariables() throws -> Variables {
    try Variables(Self.model) {
      ($0.hasPrefix("lcfm.ae.") || $0.hasPrefix("vocoder.")) && !$0.hasSuffix("unsafe")
    }
  }

  @Test(arguments: [false, true]) func autoencoderAndVocoder(hasDiscriminators: Bool) throws {
    let cases = try Cases("stage1")
    let judge = try Weights(
      SafetensorsFile(path: fixture("ResembleEnhance/discriminator/model.safetensors")).tensors(),
      subject: "discriminators")
    let stage = try autoencoderStage()
    func statistics(_ json: JSON?) throws -> [String: RunningStatistics] {
      func value(_ key: String) throws -> Float { Float(try #require(json?[key]?.double)) }
      return [
        AutoencoderStage.normalizer: RunningStatistics(
          mean: try value("normalizer.mean"), variance: try value("normalizer.var")),
        AutoencoderStage.estimator: RunningStatistics(
          mean: try value("estimator.mean"), variance: try value("estimator.var")),
      ]
    }
    let recorded = try #require(cases.json["statistics"]?.array)
    func made(_ foreground: Tensor) throws -> (Variables, StageLosses) {
      let variables = try autoencoderVariables()
      let losses = try stage.losses(
        variables.weights, discriminators: hasDiscriminators ? (judge, judge) : nil,
        foreground: foreground, noise: try cases.steps("noise"),
        statistics: try statistics(recorded[0]))
      return (variables, losses)
    }
    let (variables, losses) = try made(cases.tensor("foreground"))
    var random = RandomNumbers(seed: 1, name: "rounding")
    let foreground = try cases.tensor("foreground")
    let noise = Tensor(random.normal(foreground.count), shape: foreground.shape)
    let (others, otherLosses) = try made(foreground * (noise * 4e-7 + 1))
    let name = hasDiscriminators ? "with_gan" : "without_gan"
    try expectLosses(losses.terms, cases.json[name])
    if hasDiscriminators {
      try expectLosses(losses.discriminatorTerms, cases.json["discriminator"])
    }
    try expectStatistics(losses.statistics, recorded[1])
    try expectGradients(
      variables.gradients(of: losses.terms), cases, "\(name).grad.",
      norms: cases.json["\(name)_gradient_norms"],
      others: others.gradients(of: otherLosses.terms))
    guard !hasDiscriminators else { return }

    let constants = variables.weights.detached
    var later = losses.statistics
    later = try stage.losses(
      constants, discriminators: nil, foreground: try cases.tensor("second"),
      noise: try cases.steps("noise"), statistics: later
    ).statistics
    try expectStatistics(later, recorded[2])
    var fresh: [String: RunningStatistics] = [:]
    for (batch, expected) in zip(
      ["foreground", "second"], try #require(cases.json["statistics_from_unset"]?.array))
    {
      fresh = try stage.losses(
        constants, discriminators: nil, foreground: try cases.tensor(batch),
        noise: try cases.steps("noise"), statistics: fresh
      ).statistics
      try expectStatistics(fresh, expected)
    }
  }

  @Test func flow() throws {
    let cases = try Cases("stage2")
    let variables = try Variables(Self.model) {
      $0.hasPrefix("lcfm.cfm.") || $0.hasPrefix("denoiser.net.")
    }
    let (constants, shapes) = (try SmallModel.weights(), try SmallModel.shapes())
    let stage = FlowStage(
      sizes: try SmallModel.sizes(),
      denoiserSizes: DenoiserSizes(shapes, prefix: "denoiser."),
      mel: try autoencoderStage().mel,
      normalizer: try MelNormalizer(constants["normalizer"]),
      autoencoder: try Autoencoder(constants["lcfm"]["ae"], SmallModel.sizes()),
      times: FlowTimes(divisor: 4), scale: 6, hasFixedPrior: false)
    let losses = try stage.losses(
      variables.weights, mix: try cases.tensor("mix"), clean: try cases.tensor("clean"),
      distorted: try cases.tensor("distorted"),
      FlowStage.Draws(
        denoising: try cases.tensor("lambda").values,
        temperature: try cases.tensor("tau").values,
        place: try cases.tensor("t_uniform").values, prior: try cases.steps("prior"),
        jitter: try cases.steps("jitter")))
    try expectLosses(losses.terms, cases.json["losses"])
    try expectGradients(
      variables.gradients(of: losses.terms), cases, "stage2.grad.",
      norms: cases.json["gradient_norms"])
  }
}

extension SafetensorsFile {
  fileprivate func tensors() throws -> [String: Tensor] {
    try Dictionary(uniqueKeysWithValues: names.map { ($0, try Tensor(file: self, name: $0)) })
  }
}
