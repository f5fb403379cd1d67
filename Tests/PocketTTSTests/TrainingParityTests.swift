import Base
import ModelInterface
import Safetensors
import Tensors
import TestSupport
import Testing

@testable import NeuralNetworks
@testable import PocketTTS

@Suite struct TrainingParityTests {
  private struct Setup {
    let fixture: ModelFixture
    let trainable: PocketTTSTrainable
    let batch: RecordedBatch

    init(_ kind: String) throws {
      fixture = try ModelFixture(
        kind, tensors: "training.safetensors", facts: "training.json")
      trainable = try PocketTTSTrainable(
        start: TrainingStart(fixture.model, TrainingTask()))
      batch = try RecordedBatch(fixture)
    }

    func draws(_ test: String, distills: Bool, isEvaluation: Bool) throws -> TrainingDraws {
      TrainingDraws(
        keepsVoice: isEvaluation ? batch.keepsAll : batch.keepsVoice,
        keepsText: isEvaluation ? batch.keepsAll : batch.keepsText, distills: distills,
        head: try headDraws(test, distills: distills))
    }

    private func headDraws(_ test: String, distills: Bool) throws -> HeadDraws {
      let noise = try fixture.tensor("\(test).noise")
      switch trainable.configuration.flowLM.flow.type {
      case .lsd:
        return .lsd(
          FlowDraws(
            noise: noise, diagonal: try fixture.floats("\(test).t_normal"),
            jump: distills
              ? try fixture.floats("\(test).st_normal")
              : [Float](repeating: 0, count: 2 * noise.rows)))
      case .flowMatching:
        return .flowMatching(
          noise: noise, time: try fixture.tensor("\(test).t").reshaped([noise.rows, 1]))
      case .drifting, .pointwise:
        // Stored generation by generation.
        let draws = try fixture.tensor("\(test).draws")
        let (count, rows, width) = (draws.shape[0], draws.shape[1], draws.shape[2])
        let order = (0..<rows).flatMap { row in (0..<count).map { Int32($0 * rows + row) } }
        return .drifting(noise: draws.reshaped([count * rows, width]).gatherRows(order))
      }
    }
  }

  @Test(arguments: ["lsd_train", "flow_matching_train", "drifting"]) func lossesAndGradientsAgree(
    _ kind: String
  ) throws {
    let setup = try Setup(kind)
    let fixture = setup.fixture
    for test in fixture.facts["cases"]?.array ?? [] {
      let name = try #require(test["name"]?.string)
      let isEvaluation = test["mode"]?.string == "eval"
      let distills = test["distill"]?.bool ?? false
      var options = LossOptions()
      options.multiplier = Int(test["multiplier"]?.integer ?? 1)
      // The reference gives the longest rows no end.
      options.teachesEveryEnd = false
      options.lsd.stopsTargetGradient = test["stopgrad"]?.string == "classic"
      options.drifting.draws = 5
      var start = setup.trainable.parameters
      if test["zero_w"]?.bool != true {
        for stored in fixture.cases.names where stored.hasPrefix("start.") {
          start[String(stored.dropFirst(6))] = try fixture.tensor(stored)
        }
      }
      let tape = Tape()
      let names = start.keys.sorted()
      let variables = names.map { tape.watch(start[$0] ?? .zeros([0])) }
      let report = try setup.trainable.loss(
        of: setup.batch.examples,
        parameters: Dictionary(uniqueKeysWithValues: zip(names, variables)),
        buffers: setup.trainable.buffers, options: options, isEvaluation: isEvaluation,
        draws: try setup.draws(name, distills: distills, isEvaluation: isEvaluation))
      for part in ["loss", "flow_loss", "flow_diag", "flow_distill", "eos_loss", "drifting_loss"]
      where fixture.cases.names.contains("\(name).\(part)") {
        let value = Float(try #require(report.metrics[part], "\(name).\(part)"))
        assertClose(
          [value], try fixture.floats("\(name).\(part)"), tolerance: activationTolerance,
          "\(name).\(part)")
      }
      let gradients = tape.gradients(of: report.loss, for: variables)
      var compared = 0
      var squares = 0.0
      for (parameter, gradient) in zip(names, gradients) {
        squares += gradient?.sumOfSquares ?? 0
        let key = "\(name).grad.\(parameter)"
        guard fixture.cases.names.contains(key) else { continue }
        let expected = try fixture.floats(key)
        assertClose(
          gradient?.values ?? [Float](repeating: 0, count: expected.count), expected,
          tolerance: gradientTolerance, key)
        compared += 1
      }
      #expect(compared == fixture.cases.names.filter { $0.hasPrefix("\(name).grad.") }.count)
      assertClose(
        [Float(squares.squareRoot())], try fixture.floats("\(name).grad_norm"),
        tolerance: gradientTolerance, "\(name).grad_norm")
    }
  }

  @Test(arguments: ["lsd_train", "flow_matching_train", "drifting"])
  func statisticsMoveAsTheReferenceDoes(
    _ kind: String
  ) throws {
    let setup = try Setup(kind)
    guard setup.fixture.cases.names.contains("stats.mean") else { return }
    let moved = setup.trainable.buffers(
      setup.trainable.buffers, movedTowards: setup.batch.examples, decay: 0.999)
    assertClose(
      moved["flow_lm.emb_mean"]?.values ?? [], try setup.fixture.floats("stats.mean"),
      tolerance: 1e-6)
    assertClose(
      moved["flow_lm.emb_std"]?.values ?? [], try setup.fixture.floats("stats.std"),
      tolerance: 1e-6)
  }

  /// What section 1.9 of the facts states: on the trigonometric path the error of the path's velocity is
  /// that of the linear one, weighted.
  @Test func theTrigonometricPathIsTheLinearOneWeighted() throws {
    for normal in stride(from: Float(-3), through: 3, by: 0.5) {
      let t = FlowPath.trigonometric.time(normal: normal, location: 0, scale: 1)
      // t = cos φ / (cos φ + sin φ).
      let (cosine, sine) = (
        t / (t * t + (1 - t) * (1 - t)).squareRoot(),
        (1 - t) / (t * t + (1 - t) * (1 - t)).squareRoot()
      )
      let (x, e, v): (Float, Float, Float) = (0.7, -1.1, 0.4)
      let point = (cosine * x + sine * e) / (cosine + sine)
      let (cleaned, noise) = (point + (1 - t) * v, point - t * v)
      let error = (-sine * cleaned + cosine * noise) - (-sine * x + cosine * e)
      let weight = try #require(
        FlowPath.trigonometric.errorWeight(Tensor([t], shape: [1, 1]))
      ).scalar
      let expected = weight * (v - (x - e)) * (v - (x - e))
      #expect(abs(error * error - expected) <= 1e-5)
    }
    // The angle is uniform: half of the normal law lies on either side of its middle.
    #expect(abs(FlowPath.trigonometric.time(normal: 0, location: 0, scale: 1) - 0.5) < 1e-6)
  }

  @Test(arguments: [1, 2]) func layersComputedAgainGiveTheSameGradients(_ count: Int) throws {
    let setup = try Setup("lsd_train")
    func gradients(_ layers: Int) throws -> [[Float]?] {
      var options = LossOptions()
      options.recomputedLayers = layers
      let tape = Tape()
      let names = setup.trainable.parameters.keys.sorted()
      let variables = names.map { tape.watch(setup.trainable.parameters[$0] ?? .zeros([0])) }
      let report = try setup.trainable.loss(
        of: setup.batch.examples,
        parameters: Dictionary(uniqueKeysWithValues: zip(names, variables)),
        buffers: setup.trainable.buffers, options: options, isEvaluation: false,
        draws: try setup.draws("minimal", distills: true, isEvaluation: false))
      return tape.gradients(of: report.loss, for: variables).map { $0?.values }
    }
    #expect(try gradients(count) == gradients(0))
  }
}
