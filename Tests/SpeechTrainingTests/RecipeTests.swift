import Base
import Foundation
import TestSupport
import Testing

@testable import SpeechTraining
@testable import Training

@Suite struct RecipeTests {
  private func text(_ name: String) throws -> String {
    String(
      decoding: try Data(
        contentsOf: URL(fileURLWithPath: fixture("PocketTTS/recipes/\(name)"))), as: UTF8.self)
  }

  private func failure(_ yaml: String) -> Failure? {
    do {
      _ = try Recipe(yaml: yaml, file: "recipe.yaml").arguments()
      return nil
    } catch { return error as? Failure }
  }

  /// The official reader's values for a recipe, by whole keys.
  private func official(_ name: String) throws -> [String: JSON] {
    let facts = try JSON.parse(Array(text("cases.json").utf8))
    let entry = try #require(facts["recipes"]?.array?.first { $0["name"]?.string == name })
    var values: [String: JSON] = [:]
    for (key, value) in try #require(entry["value"]?.object) {
      let sections = ["data", "flow", "optim", "refl"]
      if sections.contains(key), let section = value.object {
        for (inner, value) in section { values["\(key).\(inner)"] = value }
      } else {
        values[key] = value
      }
    }
    return values
  }

  @Test(arguments: ["everything", "head"]) func valuesAreThoseOfTheOfficialReader(
    _ name: String
  ) throws {
    let recipe = try Recipe(yaml: text(name + ".yaml"), file: name)
    let expected = try official(name)
    #expect(recipe.values.count >= (name == "everything" ? 65 : 4))
    for (key, value) in recipe.values {
      let reference = try #require(expected[key], "\(key)")
      switch value {
      case .text(let text): #expect(reference.string == text, "\(key)")
      case .number(let number): #expect(reference.double == number, "\(key)")
      case .whole(let whole): #expect(reference.integer == whole, "\(key)")
      case .flag(let flag): #expect(reference.bool == flag, "\(key)")
      case .numbers(let numbers):
        #expect(reference.array?.compactMap(\.double) == numbers, "\(key)")
      case .texts(let texts): #expect(reference.array?.compactMap(\.string) == texts, "\(key)")
      case .settings(let settings):
        #expect(Set(settings.map(\.key)) == Set(reference.object?.keys ?? [:].keys), "\(key)")
      }
    }
  }

  @Test func numbersAreReadAsPeopleWriteThem() throws {
    let whole = try text("numbers.yaml").replacing("grad_accum_steps: 2.9", with: "")
      .replacing("ema_decay: true", with: "")
    let recipe = try Recipe(yaml: whole, file: "numbers")
    let expected = try official("numbers")
    for key in ["optim.lr", "optim.eps", "optim.max_norm", "text_dropout", "eos_loss_weight"] {
      guard case .number(let value) = recipe.values[key] else {
        Issue.record("\(key) is not read")
        continue
      }
      #expect(value == expected[key]?.double, "\(key)")
    }
    for key in ["batch_size", "max_steps", "seed", "num_valid_batches", "optim.warmup_steps"] {
      guard case .whole(let value) = recipe.values[key] else {
        Issue.record("\(key) is not read")
        continue
      }
      #expect(expected[key]?.integer == value, "\(key)")
    }
    #expect(recipe.values["compile"] == .flag(false))
    #expect(failure("grad_accum_steps: 2.9")?.problem.contains("grad_accum_steps") == true)
  }

  @Test func recipesBecomeCommandLines() throws {
    let yaml = """
      model_config: pocket_tts/config/english.yaml
      model_overrides: {flow_lm.transformer.num_layers: 24, flow_lm.z_dim: null}
      start_from_pretrained: false
      data: {train_jsonl: data/train.jsonl, max_voice_prompt_sec: 0}
      flow: {type: lsd, kwargs: {stopgrad_type: classic, p_equal: 0.5}}
      optim: {lr: 2e-5, betas: [0.9, 0.99], schedule: cosine}
      batch_size: 64
      stats_ema_steps: 500
      run_dir: runs/a
      sample_freq: 500
      sample_sentences: [One thing., Another.]
      ttstools: {precision: bf16, keep-best: true, valid: [a.ttsr, b.ttsr]}
      """
    let words = try Recipe(yaml: yaml, file: "r").arguments()
    let line = words.joined(separator: " ")
    for part in [
      "--model english", "--set flow_lm.transformer.num_layers=24", "--set flow_lm.z_dim=null",
      "--fresh", "--train data/train-*.ttsr", "--prompt-seconds 3600", "--objective lsd",
      "--classic-stop-gradient", "--flow p_equal=0.5", "--lr 2e-05", "--beta1 0.9",
      "--beta2 0.99", "--schedule cosine", "--batch 64", "--statistics ema",
      "--statistics-steps 500", "--run runs/a", "--precision bf16", "--keep-best",
      "--valid a.ttsr --valid b.ttsr", "--tune full", "--steps 100000",
      "--sample-every 500 --sample-sentence One thing. --sample-sentence Another.",
    ] {
      #expect(line.contains(part), "\(part) in \(line)")
    }
    let depth = """
      model_config: small.yaml
      distill_cfg_coef: 2.0
      distill_teacher_config: pocket_tts/config/english.yaml
      distill_teacher_overrides: {flow_lm.transformer.num_layers: 24}
      distill_teacher_weights: runs/scratch/checkpoint_00400000.pt
      """
    let student = try Recipe(yaml: depth, file: "r").arguments().joined(separator: " ")
    #expect(student.contains("--distill backbone --guidance 2 --teacher runs/scratch"))
    let weights = depth.replacing("checkpoint_00400000.pt", with: "model.safetensors")
    let other = try Recipe(yaml: weights, file: "r").arguments().joined(separator: " ")
    #expect(
      other.contains(
        "--teacher english --teacher-set flow_lm.transformer.num_layers=24 "
          + "--teacher-set weights_path=runs/scratch/model.safetensors"))
    // A checkpoint that is there is read itself.
    let folder = try ScratchFolder()
    let path = try folder.write([], to: "checkpoint_00400000.pt")
    let here = depth.replacing("runs/scratch/checkpoint_00400000.pt", with: path)
    #expect(try Recipe(yaml: here, file: "r").arguments().contains("weights_path=\(path)"))
  }

  /// What the official reader refuses is refused, but for what only Python would mind.
  @Test func wrongRecipesAreRefused() throws {
    let facts = try JSON.parse(Array(text("cases.json").utf8))
    let wrong = try #require(facts["wrong"]?.array)
    #expect(wrong.count > 30)
    for entry in wrong {
      let yaml = try #require(entry["text"]?.string)
      // A number of steps in this form is plain enough, and a folder may be called so.
      if ["max_steps: 1e5", "run_dir: 5"].contains(yaml) { continue }
      let failure = failure(yaml)
      #expect(failure?.kind == .configuration, "\(yaml): \(String(describing: failure))")
      if entry["error"]?.string?.hasPrefix("Unknown config key") == true {
        #expect(failure?.problem.contains("unknown key") == true, "\(yaml)")
      }
    }
    for (yaml, word) in [
      ("refl: {enabled: true, utmos_weight: 1}", "reward"), ("data: {shuffle: false}", "shuffle"),
      ("ttstools: 5", "ttstools"), ("ttstools: {a: {b: 1}}", "ttstools.a"),
    ] {
      #expect(failure(yaml)?.problem.contains(word) == true, "\(yaml)")
    }
  }
}
