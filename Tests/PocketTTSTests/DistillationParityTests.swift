import Base
import ModelInterface
import NeuralNetworks
import Safetensors
import Tensors
import TestSupport
import Testing

@testable import PocketTTS

@Suite struct DistillationParityTests {
  /// Cases of one folder of the official trainer's recordings.
  private struct Cases {
    let file: SafetensorsFile
    let entries: [JSON]

    init(_ folder: String) throws {
      file = try SafetensorsFile(path: fixture("PocketTTS/\(folder)/cases.safetensors"))
      let facts = try JSON.parse(readFile(fixture("PocketTTS/\(folder)/cases.json")))
      entries = try #require(facts["cases"]?.array)
    }

    func tensor(_ name: String) throws -> Tensor { try Tensor(file: file, name: name) }
    func floats(_ name: String) throws -> [Float] { try file.floats(name) }
    func names(_ prefix: String) -> [String] {
      file.names.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
    }
  }

  private func overrides(_ entry: JSON) -> [TrainingTask.Override] {
    (entry["overrides"]?.object ?? [:]).sorted { $0.key < $1.key }.compactMap { key, value in
      guard let text = value.string ?? value.integer.map(String.init) else { return nil }
      return TrainingTask.Override(key: key, value: text)
    }
  }

  /// Compares what a case has of the loss's parts and gradients.
  private func compare(
    _ name: String, _ cases: Cases, _ trainable: PocketTTSTrainable,
    _ parameters: [String: Tensor], prefix: String,
    loss: ([String: Tensor]) throws -> LossReport
  ) throws {
    let tape = Tape()
    let names = parameters.keys.filter { trainable.trains($0, in: .full) }.sorted()
    let variables = names.map { tape.watch(parameters[$0] ?? .zeros([0])) }
    let report = try loss(parameters.merging(zip(names, variables)) { $1 })
    for part in ["loss", "head_loss", "drifting_loss", "temp", "std_mean"]
    where cases.file.names.contains("\(name).\(part)") {
      assertClose(
        [Float(try #require(report.metrics[part], "\(name).\(part)"))],
        try cases.floats("\(name).\(part)"), tolerance: activationTolerance, "\(name).\(part)")
    }
    let gradients = Dictionary(
      uniqueKeysWithValues: zip(names, tape.gradients(of: report.loss, for: variables)))
    let expected = cases.names("\(name).grad.")
    for parameter in expected {
      let gradient = try #require(gradients[prefix + parameter] ?? nil, "\(name) \(parameter)")
      assertClose(
        gradient.values, try cases.floats("\(name).grad.\(parameter)"),
        tolerance: gradientTolerance, "\(name).grad.\(parameter)")
    }
    let norm = gradients.values.reduce(0) { $0 + ($1?.sumOfSquares ?? 0) }.squareRoot()
    assertClose(
      [Float(norm)], try cases.floats("\(name).grad_norm"), tolerance: gradientTolerance,
      "\(name).grad_norm")
  }

  // MARK: Heads

  @Test func newHeadsLearnFromFrozenOnesAsInTheReference() throws {
    let cases = try Cases("head_distillation")
    #expect(cases.entries.count >= 7)
    for entry in cases.entries {
      let name = try #require(entry["name"]?.string)
      let setup = try ModelFixture(
        try #require(entry["model"]?.string), tensors: "training.safetensors",
        facts: "training.json")
      let batch = try RecordedBatch(setup)
      var distillation = HeadDistillation()
      distillation.isDrifting = entry["loss"]?.string == "drifting"
      distillation.samples = Int(entry["samples"]?.integer ?? 1)
      distillation.temperature = Float(entry["temp"]?.double ?? 1)
      distillation.head = fixture("PocketTTS/head_distillation/\(name).head.safetensors")
      var task = TrainingTask()
      task.overrides = overrides(entry)
      task.distillation = .head(distillation)
      let trainable = try PocketTTSTrainable(start: TrainingStart(setup.model, task))
      var options = LossOptions()
      options.teachesEveryEnd = false
      options.drifting.draws = 5
      let objective = entry["objective"]
      options.drifting.temperatureWeight = Float(objective?["temp_loss_weight"]?.double ?? 1)
      if objective?["normalize_force"]?.bool == false { options.drifting.normalization = .none }
      var parameters = trainable.parameters
      if parameters["flow.temp"] != nil { parameters["flow.temp"] = Tensor([0.7]) }

      let noise = try cases.tensor("\(name).noise")
      let (samples, frames, width) = (noise.shape[0], noise.shape[1], noise.shape[2])
      func byFrame(_ tensor: Tensor, _ count: Int) -> Tensor {
        let order = (0..<frames).flatMap { frame in
          (0..<count).map { Int32($0 * frames + frame) }
        }
        return tensor.reshaped([count * frames, width]).gatherRows(order)
      }
      let draws = TrainingDraws(
        keepsVoice: batch.keepsVoice, keepsText: batch.keepsText, distills: true,
        head: .imitation(
          HeadImitationDraws(
            teacher: byFrame(noise, samples) * distillation.temperature.squareRoot(),
            generations: distillation.isDrifting
              ? byFrame(try cases.tensor("\(name).draws"), 5) : nil)))
      try compare(name, cases, trainable, parameters, prefix: "") {
        try trainable.loss(
          of: batch.examples, parameters: $0, buffers: trainable.buffers, options: options,
          isEvaluation: false, draws: draws)
      }
    }
  }

  // MARK: Backbones

  @Test func studentsLearnFromTeachersAsInTheReference() throws {
    let cases = try Cases("backbone_distillation")
    let setup = try ModelFixture(
      "lsd_train", tensors: "training.safetensors", facts: "training.json")
    let batch = try RecordedBatch(setup)
    for entry in cases.entries {
      let name = try #require(entry["name"]?.string)
      let model = try PocketTTSModel(
        path: fixture("PocketTTS/" + (try #require(entry["model"]?.string))))
      var distillation = BackboneDistillation()
      distillation.teacher = entry["teacher"]?.string.map { fixture("PocketTTS/" + $0) }
      distillation.guidance = Float(try #require(entry["coefficient"]?.double))
      var task = TrainingTask()
      task.overrides = overrides(entry)
      task.distillation = .backbone(distillation)
      let trainable = try PocketTTSTrainable(start: TrainingStart(model, task))
      var options = LossOptions()
      options.teachesEveryEnd = false
      let keeps = entry["dropped"]?.bool == true
      let draws = TrainingDraws(
        keepsVoice: keeps ? batch.keepsVoice : batch.keepsAll,
        keepsText: keeps ? batch.keepsText : batch.keepsAll, distills: true, head: .none)
      var parameters = trainable.parameters
      let student = entry["student"]?.string ?? name
      if distillation.teacher == nil {
        for stored in cases.names("\(student).student.") {
          parameters["flow_lm." + stored] = try cases.tensor("\(student).student.\(stored)")
        }
      } else {
        try compareSeeds(name, cases, trainable)
        if name == "width" { try takeTable(cases, &parameters) }
      }
      try compare(name, cases, trainable, parameters, prefix: "flow_lm.") {
        try trainable.loss(
          of: batch.examples, parameters: $0, buffers: trainable.buffers, options: options,
          isEvaluation: false, draws: draws)
      }
    }
  }

  /// Signs of singular vectors are arbitrary: gradients are compared with the reference's own.
  private func takeTable(_ cases: Cases, _ parameters: inout [String: Tensor]) throws {
    for name in ["conditioner.embed.weight", "conditioner.proj.weight"] {
      parameters["flow_lm." + name] = try cases.tensor("width.student." + name)
    }
  }

  private func compareSeeds(
    _ name: String, _ cases: Cases, _ trainable: PocketTTSTrainable
  ) throws {
    for stored in cases.names("\(name).student.") where !stored.hasPrefix("conditioner.") {
      assertClose(
        try #require(trainable.parameters["flow_lm." + stored]).values,
        try cases.floats("\(name).student.\(stored)"), tolerance: 1e-6, "\(name) \(stored)")
    }
    guard cases.file.names.contains("\(name).table") else { return }
    let table = try #require(trainable.parameters["flow_lm.conditioner.embed.weight"])
    let projection = try #require(trainable.parameters["flow_lm.conditioner.proj.weight"])
    assertClose(
      table.product(transposed: projection).values, try cases.floats("\(name).table"),
      tolerance: 1e-4, "\(name).table")
  }

  @Test func layersAreChosenAsInTheReference() throws {
    let facts = try JSON.parse(readFile(fixture("PocketTTS/backbone_distillation/cases.json")))
    let rows = try #require(facts["select_layers"]?.array)
    #expect(!rows.isEmpty)
    for row in rows {
      let kept = Shrinking.layers(
        Int(try #require(row["student"]?.integer)), of: Int(try #require(row["teacher"]?.integer)))
      #expect(kept == row["kept"]?.array?.compactMap { $0.integer.map { Int($0) } })
    }
  }

  @Test func aStudentMayBeginAsAnotherModel() throws {
    let cases = try Cases("backbone_distillation")
    let entry = try #require(cases.entries.first { $0["name"]?.string == "width" })
    var distillation = BackboneDistillation()
    distillation.teacher = fixture("PocketTTS/backbone_distillation/teacher")
    distillation.student = distillation.teacher
    var task = TrainingTask()
    task.overrides = overrides(entry)
    task.distillation = .backbone(distillation)
    let model = try PocketTTSModel(
      path: fixture("PocketTTS/" + (try #require(entry["model"]?.string))))
    let trainable = try PocketTTSTrainable(start: TrainingStart(model, task))
    try compareSeeds("init", cases, trainable)
  }
}
