import Base
import Foundation
import NeuralNetworks
import Safetensors
import Tensors
import TestSupport
import Testing

@testable import Training

private func json(_ path: String) throws -> JSON {
  try JSON.parse(Array(Data(contentsOf: URL(fileURLWithPath: fixture("PocketTTS/" + path)))))
}

@Suite struct OptimizerTests {
  @Test func aLineEndsAtItsShare() {
    let line = LearningRate(highest: 0.03, warmup: 4, shape: .linear, lowestShare: 0.1)
    let rates = [0, 3, 4, 9, 14, 99].map { line.rate(step: $0, of: 14) }
    for (rate, expected) in zip(rates, [0.0075, 0.03, 0.03, 0.0165, 0.003, 0.003]) {
      #expect(abs(rate - expected) < 1e-12)
    }
  }

  @Test func tenStepsEqualTheOfficialOnes() throws {
    let cases = try SafetensorsFile(path: fixture("PocketTTS/optimiser/cases.safetensors"))
    let settings = try json("optimiser/cases.json")
    let rates = try #require(settings["rates"]?.array).compactMap(\.double)
    func tensor(_ name: String) throws -> Tensor {
      Tensor(try cases.floats(name), shape: try #require(cases.shape(of: name)))
    }
    let names = cases.names.filter { $0.hasPrefix("start.") }.map { String($0.dropFirst(6)) }
    var parameters = ParameterSet(
      Dictionary(uniqueKeysWithValues: try names.map { ($0, try tensor("start.\($0)")) }))
    let schedule = LearningRate(highest: 0.03, warmup: 4, shape: .cosine, lowestShare: 0.1)
    var optimizer = AdamW(AdamW.Settings(), for: parameters) {
      $0 != "flow_lm.conditioner.embed.weight"
    }
    for step in 0..<10 {
      var sum = GradientSum(count: parameters.names.count)
      sum.add(
        try parameters.names.map { name in
          cases.names.contains("gradient.\(step).\(name)")
            ? try tensor("gradient.\(step).\(name)") : nil
        })
      let norm = try sum.norm(names: parameters.names, step: step)
      let expected = Double(try cases.floats("norm.\(step)")[0])
      #expect(abs(norm - expected) <= 1e-6 * expected)
      let rate = schedule.rate(step: step, of: 10)
      #expect(abs(rate - rates[step]) <= 1e-12)
      optimizer.step(
        &parameters, gradients: sum.values, scale: clipScale(norm: norm, limit: 1), rate: rate)
      for (name, value) in zip(parameters.names, parameters.values) {
        let reference =
          cases.names.contains("after.\(step).\(name)")
          ? try cases.floats("after.\(step).\(name)") : try cases.floats("start.\(name)")
        for (a, b) in zip(value.values, reference) {
          #expect(abs(a - b) <= 2e-6 * max(abs(b), 0.1), "\(name) at step \(step): \(a), not \(b)")
        }
      }
    }
  }

  /// One step of the official trainer from the gradients of a batch, and its running average.
  @Test(arguments: ["lsd_train", "flow_matching_train"])
  func aStepOfAModelEqualsTheOfficialOne(kind: String) throws {
    let model = try SafetensorsFile(path: fixture("PocketTTS/\(kind)/model.safetensors"))
    let cases = try SafetensorsFile(path: fixture("PocketTTS/\(kind)/training.safetensors"))
    let description = try json("\(kind)/training.json")
    let settings = try #require(description["optimiser"])
    let entries = try #require(description["cases"]?.array)
    let name = try #require(entries.first { $0["step"] == true }?["name"]?.string)
    let names = cases.names.filter { $0.hasPrefix("\(name).grad.") }
      .map { String($0.dropFirst("\(name).grad.".count)) }
    #expect(names.count > 20)
    let start = ParameterSet(
      Dictionary(
        uniqueKeysWithValues: try names.map { name in
          let (file, key) = model.names.contains(name) ? (model, name) : (cases, "start.\(name)")
          return (name, Tensor(try file.floats(key), shape: try #require(file.shape(of: key))))
        }))
    var parameters = start
    var sum = GradientSum(count: names.count)
    sum.add(try start.names.map { Tensor(try cases.floats("\(name).grad.\($0)")) })
    let norm = try sum.norm(names: start.names, step: 1)
    let expected = Double(try cases.floats("\(name).grad_norm")[0])
    #expect(abs(norm - expected) <= 1e-5 * expected)
    var optimizer = AdamW(.init(), for: parameters) { $0 != "flow_lm.conditioner.embed.weight" }
    optimizer.step(
      &parameters, gradients: sum.values,
      scale: clipScale(norm: norm, limit: try #require(settings["max_norm"]?.double)),
      rate: try #require(settings["lr"]?.double))
    var average = start
    average.average(with: parameters, decay: try #require(description["ema_decay"]?.double))
    for (index, key) in start.names.enumerated() {
      assertClose(
        parameters.values[index].values, try cases.floats("\(name).adamw.\(key)"),
        tolerance: 1e-6, key)
      if cases.names.contains("\(name).ema.\(key)") {
        assertClose(
          average.values[index].values, try cases.floats("\(name).ema.\(key)"), tolerance: 1e-6,
          key)
      }
    }
  }

  @Test func scheduleEqualsTheOfficialOne() throws {
    let entries = try #require(try json("lsd_train/training.json")["schedule"]?.array)
    #expect(entries.count > 20)
    for entry in entries {
      let rate = LearningRate(
        highest: try #require(entry["lr"]?.double),
        warmup: try #require(entry["warmup_steps"]?.integer),
        shape: try #require(entry["schedule"]?.string.flatMap(LearningRate.Shape.init)),
        lowestShare: try #require(entry["lr_min_ratio"]?.double))
      let value = rate.rate(
        step: try #require(entry["step"]?.integer), of: try #require(entry["max_steps"]?.integer))
      let expected = try #require(entry["value"]?.double)
      #expect(abs(value - expected) <= 1e-12 + 1e-9 * expected)
    }
  }

  @Test func averageMovesTowardsTheValues() {
    var average = ParameterSet(["a": Tensor([1, 2]), "b": Tensor(repeating: 4, shape: [40_000])])
    average.average(
      with: ParameterSet(["a": Tensor([2, 0]), "b": Tensor(repeating: 0, shape: [40_000])]),
      decay: 0.75)
    #expect(average.values[0].values == [1.25, 1.5])
    #expect(average.values[1].values.allSatisfy { $0 == 3 })
  }

  @Test func nonFiniteGradientIsNamed() {
    var sum = GradientSum(count: 2)
    sum.add([Tensor([1, 2]), Tensor([.nan])])
    #expect {
      try sum.norm(names: ["fine", "broken"], step: 3)
    } throws: {
      ($0 as? Failure)?.problem.contains("'broken'") == true
    }
  }

  @Test func polarFactorsEqualTheOfficialOnes() throws {
    let cases = try SafetensorsFile(path: fixture("PocketTTS/optimiser_muon/cases.safetensors"))
    let rows = try #require(try json("optimiser_muon/cases.json")["polar"]?.array)
    for (index, row) in rows.enumerated() {
      let input = try Tensor(file: cases, name: "polar.\(index).input")
      let factor = input.polarFactor(steps: Int(try #require(row["steps"]?.integer)))
      assertClose(
        factor.values, try cases.floats("polar.\(index).f64"), tolerance: 1e-4, "polar \(index)")
    }
  }

  /// Ten steps of the official Muon, with its iteration in float32.
  @Test(arguments: ["after", "rms.after"]) func tenStepsOfMuonEqualTheOfficialOnes(
    prefix: String
  ) throws {
    let cases = try SafetensorsFile(path: fixture("PocketTTS/optimiser_muon/cases.safetensors"))
    let facts = try json("optimiser_muon/cases.json")
    let rates = try #require(facts["rates"]?.array).compactMap(\.double)
    func tensors(_ prefix: String) throws -> [String: Tensor] {
      Dictionary(
        uniqueKeysWithValues: try cases.names.filter { $0.hasPrefix(prefix) }.map {
          (String($0.dropFirst(prefix.count)), try Tensor(file: cases, name: $0))
        })
    }
    var blocks: [String: [Int]] = [:]
    for group in try #require(facts["groups"]?.array) where group["use_muon"]?.bool == true {
      for name in group["parameters"]?.array?.compactMap(\.string) ?? [] {
        let rows = try #require(cases.shape(of: "start." + name))[0]
        blocks[name] =
          group["split_sizes"]?.array?.compactMap { $0.integer.map { Int($0) } } ?? [rows]
      }
    }
    var parameters = ParameterSet(try tensors("start."))
    var settings = Optimizer.Settings()
    settings.muon = Muon.Settings()
    settings.muon?.matchesAdamW = prefix.hasPrefix("rms")
    var optimizer = Optimizer(
      settings, for: parameters, decays: { $0 != "table" && !$0.hasSuffix(".embed.weight") },
      orthogonalBlocks: { blocks[$0] }, highestRate: 0.002)
    for step in 0..<10 {
      let gradients = try tensors("gradient.\(step).")
      var sum = GradientSum(count: parameters.names.count)
      sum.add(parameters.names.map { gradients[$0] })
      let norm = try sum.norm(names: parameters.names, step: step)
      optimizer.step(
        &parameters, gradients: sum.values, scale: clipScale(norm: norm, limit: 1),
        rate: rates[step])
      for (name, value) in zip(parameters.names, parameters.values)
      where cases.names.contains("\(prefix).\(step).\(name)") {
        assertClose(
          value.values, try cases.floats("\(prefix).\(step).\(name)"), tolerance: 1e-5,
          "\(name) at step \(step)")
      }
    }
    guard prefix == "after", let muon = optimizer.muon else { return }
    for (name, momentum) in zip(muon.momentum.names, muon.momentum.values)
    where cases.names.contains("momentum." + name) {
      assertClose(momentum.values, try cases.floats("momentum." + name), tolerance: 1e-5, name)
    }
    for (name, value) in zip(parameters.names, parameters.values)
    where cases.names.contains("official.after.9." + name) {
      assertClose(
        value.values, try cases.floats("official.after.9." + name), tolerance: 5e-3,
        "\(name) in bfloat16")
    }
  }
}
