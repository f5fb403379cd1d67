import Base
import Yams

/// A recipe in the official trainer's schema (`training/args.py` of the package 4.0.1), with a section
/// `ttstools` of our own.
public struct Recipe: Sendable {
  /// A value as its key wants it.
  enum Value: Sendable, Equatable {
    case text(String)
    case number(Double)
    case whole(Int)
    case flag(Bool)
    case numbers([Double])
    case texts([String])
    /// Keys and their values in YAML.
    case settings([Setting])
  }

  /// A key of a mapping and its value in YAML.
  struct Setting: Sendable, Equatable {
    var key: String
    var value: String
  }

  /// What a key wants.
  private enum Kind {
    case text, number, whole, flag, numbers, texts, settings
  }

  /// The file, for messages.
  let file: String
  /// The values that the recipe gives, by whole keys: `optim.lr`.
  private(set) var values: [String: Value] = [:]
  /// The section `ttstools`: options of the command line without their dashes.
  private(set) var options: [(name: String, values: [String])] = []

  /// Reads a recipe.
  ///
  /// - Throws: `configuration` naming the key for anything unknown or impossible.
  public init(yaml: String, file: String) throws {
    self.file = file
    let node: Node?
    do { node = try Yams.compose(yaml: yaml) } catch {
      let message = String(describing: error).split(separator: "\n").first.map(String.init)
      throw Failure.recipe(file, "not YAML: \(message ?? "")")
    }
    guard let root = node?.mapping else { throw Failure.recipe(file, "it is no mapping of keys") }
    for (key, value) in root {
      let name = key.string ?? ""
      if name == "ttstools" {
        try readOptions(value)
      } else if let section = Self.sections[name] {
        guard let mapping = value.mapping else {
          throw Failure.recipe(file, "'\(name)' is no section with keys")
        }
        for (key, value) in mapping { try read(name + "." + (key.string ?? ""), section, value) }
      } else {
        try read(name, Self.root, value)
      }
    }
  }

  // MARK: Values

  private mutating func read(_ key: String, _ kinds: [String: Kind], _ node: Node) throws {
    let last = key.split(separator: ".", omittingEmptySubsequences: false).last.map(String.init)
    guard let kind = kinds[last ?? ""] else {
      throw Failure(
        .configuration, subject: file, problem: "unknown key '\(key)'",
        remedy: "remove it, or put an option of tts-train under 'ttstools'")
    }
    func wanted<Result>(_ what: String, _ value: Result?) throws -> Result {
      guard let value else { throw Failure.recipe(file, "'\(key)' is not \(what)") }
      return value
    }
    // What is left empty counts as not given.
    if node.null != nil, [.text, .texts, .settings].contains(kind) { return }
    values[key] =
      switch kind {
      case .text: .text(try wanted("a text", node.scalar?.string))
      case .number: .number(try wanted("a number", Self.number(node)))
      case .whole: .whole(try wanted("a whole number", Self.whole(node)))
      case .flag: .flag(try wanted("true or false", node.bool))
      case .numbers:
        .numbers(try (node.sequence ?? []).map { try wanted("a list of numbers", Self.number($0)) })
      case .texts:
        .texts(try wanted("a list of texts", node.sequence).map { $0.scalar?.string ?? "" })
      case .settings: .settings(try settings(wanted("a mapping", node.mapping)))
      }
  }

  private static func number(_ node: Node) -> Double? {
    // Python reads 2e-5 as a text first, which is a number all the same.
    guard let value = node.float ?? node.scalar.flatMap({ Double($0.string) }), value.isFinite
    else {
      return nil
    }
    return value
  }

  private static func whole(_ node: Node) -> Int? {
    if let value = node.int { return value }
    guard let value = number(node), value == value.rounded(), abs(value) < 1e15 else { return nil }
    return Int(value)
  }

  private func settings(_ mapping: Node.Mapping) throws -> [Setting] {
    try mapping.map { key, value in
      var flow = value
      flow.sequence?.style = .flow
      flow.mapping?.style = .flow
      guard let name = key.scalar?.string, let text = try? Yams.serialize(node: flow, width: -1)
      else { throw Failure.recipe(file, "a key of a mapping is no text") }
      return Setting(key: name, value: String(text.drop { $0 == "\n" }.split(separator: "\n")[0]))
    }
  }

  private mutating func readOptions(_ node: Node) throws {
    guard let mapping = node.mapping else {
      throw Failure.recipe(file, "'ttstools' is no section with options")
    }
    for (key, value) in mapping {
      guard let name = key.scalar?.string, !name.isEmpty, !name.hasPrefix("-") else {
        throw Failure.recipe(file, "an option under 'ttstools' has no name")
      }
      if let flag = value.bool, value.scalar?.style == .plain {
        if flag { options.append((name, [])) }
      } else if let sequence = value.sequence {
        options.append((name, sequence.compactMap { $0.scalar?.string }))
      } else if let text = value.scalar?.string {
        options.append((name, [text]))
      } else {
        throw Failure.recipe(file, "'ttstools.\(name)' is neither a value nor a list")
      }
    }
  }

  // MARK: The schema

  private static let root: [String: Kind] = [
    "model_config": .text, "model_overrides": .settings, "start_from_pretrained": .flag,
    "freeze_head": .flag, "reset_text_embedding": .flag, "run_dir": .text, "batch_size": .whole,
    "grad_accum_steps": .whole, "max_steps": .whole, "seed": .whole,
    "flow_batch_multiplier": .whole, "eos_loss_weight": .number, "text_dropout": .number,
    "voice_dropout": .number, "stats_ema_steps": .whole, "stats_ema_decay": .number,
    "log_freq": .whole, "valid_freq": .whole, "compile": .flag, "num_valid_batches": .whole,
    "sample_sentences": .texts, "sample_freq": .whole, "sample_temp": .number,
    "sample_cfg_coef": .number, "ckpt_freq": .whole, "num_ckpt_keep": .whole,
    "ema_decay": .number, "distill_cfg_coef": .number, "distill_teacher_config": .text,
    "distill_teacher_overrides": .settings, "distill_teacher_weights": .text,
    "distill_teacher_use_ema": .flag, "student_init_from": .text, "init_from_use_ema": .flag,
    "head_distill": .flag, "head_distill_from": .text, "head_distill_loss": .text,
    "head_distill_samples": .whole, "head_distill_temp": .number, "head_init_from": .text,
  ]

  private static let sections: [String: [String: Kind]] = [
    "data": [
      "train_jsonl": .text, "valid_jsonl": .text, "max_duration_sec": .number,
      "max_voice_prompt_sec": .number, "prompt_trim_max_sec": .number,
      "final_punct_dropout": .number, "shuffle": .flag, "loader_procs": .whole,
      "num_bucket_batches": .whole, "precompute": .flag,
    ],
    "flow": ["type": .text, "kwargs": .settings],
    "optim": [
      "lr": .number, "weight_decay": .number, "betas": .numbers, "eps": .number,
      "max_norm": .number, "warmup_steps": .whole, "schedule": .text, "lr_min_ratio": .number,
      "type": .text, "muon_lr": .number, "muon_momentum": .number, "muon_head": .flag,
      "muon_rms_match": .flag, "muon_polar_steps": .whole,
    ],
    "refl": [
      "enabled": .flag, "rows": .whole, "temp": .number, "max_sec": .number,
      "utmos_weight": .number, "ctc_weight": .number, "ctc_model": .text, "reward_decoder": .text,
      "max_shift": .whole,
    ],
  ]
}

extension Failure {
  static func recipe(_ file: String, _ problem: String) -> Failure {
    Failure(.configuration, subject: file, problem: problem, remedy: "mend the recipe")
  }
}
