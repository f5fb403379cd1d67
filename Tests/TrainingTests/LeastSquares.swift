import Base
import Tensors

@testable import Training

/// Fits y = x W; from a step on, and in the first one, a critic learns to tell how wrong the fit is, which the
/// fit then tries to please: two groups of parameters, statistics that move while it learns, no data at all.
struct LeastSquares: Lesson {
  var seed: UInt64 = 3
  /// The critic learns in step 1 and from this one on.
  var criticBegins = 5
  /// Whether the rate of the fit does not depend on the number of steps.
  var holdsRate = false
  /// The loss of this step is no number.
  var brokenStep = 0
  var parameters: [String: Tensor] = [
    "fit.weight": Tensor((0..<6).map { Float($0) * 0.1 }, shape: [2, 3]),
    "fit.unused": Tensor([1, 2]),
    "critic.weight": Tensor([0.5, -0.5], shape: [1, 2]),
    "critic.bias": Tensor([0.25]),
  ]
  var buffers: [String: Tensor] = ["mean": .zeros([2])]

  private func names(_ prefix: String) -> Set<String> {
    Set(parameters.keys.filter { $0.hasPrefix(prefix) })
  }

  var groups: [ParameterGroup] {
    var settings = Optimizer.Settings()
    settings.adamW = .adam
    return [
      ParameterGroup(
        "fit", names("fit."),
        rate: holdsRate
          ? LearningRate(highest: 0.05, warmup: 4)
          : .warmupDecay(lowest: 1e-3, highest: 0.05, warmup: 4), clip: 1, optimizer: settings),
      ParameterGroup(
        "critic", names("critic."), rate: LearningRate(highest: 0.01, warmup: 3), clip: 0.5,
        optimizer: settings),
    ]
  }

  var facts: LessonFacts {
    LessonFacts(
      options: ["critic-begins": "\(criticBegins)"], models: ["start": "none"],
      buffers: SHA256Digest(of: []), data: ["noise": ["digest": .string("\(seed)")]],
      digests: ["noise": "\(seed)"])
  }

  func microBatch(_ number: Int) -> any MicroBatch { Batch(lesson: self, number: number) }
  func changesBuffers(step: Int) -> Bool { true }

  var validationWeights: [Double] { [1, 3] }

  func validate(
    _ number: Int, parameters: [String: Tensor], buffers: [String: Tensor]
  ) -> [String: Double] {
    let batch = Batch(lesson: self, number: -1 - number)
    return ["loss": Double(batch.error(parameters).squared().mean().scalar)]
  }

  func makeSamples(
    _ samples: SampleCollection, parameters: [String: Tensor], buffers: [String: Tensor]
  ) throws {
    for form in samples.step == 0 ? ["input", "prediction"] : ["prediction"] {
      try samples.checkInterrupted()
      try samples.add("1-" + form) {
        guard let weight = parameters["fit.weight"] else {
          throw Failure(.internalFault, problem: "no weight")
        }
        return Sound(
          samples: form == "input" ? [0, 0.5] : weight.values, rate: 100,
          facts: ["recording": "noise", "form": .string(form)])
      }
    }
  }

  func write(
    parameters: [String: Tensor], buffers: [String: Tensor], to directory: String
  ) throws {
    let all = parameters.merging(buffers) { $1 }
    _ = try writeTensors(
      all.map { (name: $0.key, tensor: $0.value) }, to: directory + "/model.safetensors")
  }

  struct Batch: MicroBatch {
    let lesson: LeastSquares
    let number: Int

    private var x: Tensor {
      var random = RandomNumbers(seed: lesson.seed, name: "\(number)")
      return Tensor(random.normal(12), shape: [4, 3])
    }

    /// Of the fit: `[rows, 2]`.
    func error(_ parameters: [String: Tensor]) -> Tensor {
      let target = Tensor([1, 0, -1, 0.5, 2, 0], shape: [2, 3])
      let weight = parameters["fit.weight"] ?? target
      return x.product(transposed: weight) - x.product(transposed: target)
    }

    private func score(_ error: Tensor, _ parameters: [String: Tensor]) throws -> Tensor {
      guard let weight = parameters["critic.weight"], let bias = parameters["critic.bias"] else {
        throw Failure(.internalFault, problem: "no critic")
      }
      return error.squared().product(transposed: weight) + bias
    }

    func learn(_ input: LearningInput) throws -> LearningReport {
      let hasCritic = input.step == 1 || input.step >= lesson.criticBegins
      var metrics: [String: Double] = [:]
      var fake: Tensor?
      var gradients = try input.gradients(for: lesson.names("fit.")) { parameters in
        let error = error(parameters)
        fake = error.detached()
        var loss = error.squared().mean()
        metrics["error"] = Double(loss.scalar)
        if hasCritic { loss = loss + (try score(error, parameters)).mean() * 0.1 }
        if input.step == lesson.brokenStep { loss = loss * .nan }
        metrics["loss"] = Double(loss.scalar)
        return loss
      }
      if hasCritic, let fake {
        let own = try input.gradients(for: lesson.names("critic.")) { parameters in
          let truth = Tensor(
            (0..<4).map { fake.values[2 * $0] * fake.values[2 * $0 + 1] }, shape: [4, 1])
          let loss = (try score(fake, parameters) - truth).squared().mean()
          metrics["critic"] = Double(loss.scalar)
          return loss
        }
        gradients.merge(own) { $1 }
      }
      return LearningReport(
        gradients: gradients, metrics: metrics, buffers: try buffers(after: input))
    }

    /// What the fit makes on average, with the weights of the step.
    func buffers(after input: LearningInput) throws -> [String: Tensor] {
      let error = error(input.parameters.dictionary)
      let mean = Tensor((0..<2).map { error.values[$0] })
      return input.buffers.mapValues { $0 * 0.9 + mean * 0.1 }
    }
  }
}
