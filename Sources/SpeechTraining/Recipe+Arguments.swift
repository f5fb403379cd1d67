import Base
import Foundation

extension Recipe {
  /// The command line that the recipe stands for: what it leaves open is the official default, where
  /// that is not ours.
  ///
  /// - Throws: `configuration` for what this trainer does not do.
  public func arguments() throws -> [String] {
    try refuse()
    var arguments: [String] = []
    func add(_ option: String, _ value: String?) {
      if let value { arguments += ["--" + option, value] }
    }
    func add(_ option: String, number key: String, default fallback: Double? = nil) {
      add(option, (self.number(key) ?? fallback).map(Self.text))
    }
    func add(_ option: String, whole key: String, default fallback: Int? = nil) {
      add(option, (whole(key) ?? fallback).map(String.init))
    }
    func add(flag option: String, if holds: Bool) { if holds { arguments.append("--" + option) } }

    add("model", text("model_config").map(Self.modelPath))
    for setting in settings("model_overrides") { add("set", "\(setting.key)=\(setting.value)") }
    add("run", text("run_dir"))
    try addData { add($0, $1) }
    try addTask {
      add($0, $1)
    } flag: {
      add(flag: $0, if: true)
    }
    add("tune", flag("freeze_head") ? "body" : "full")

    add("steps", whole: "max_steps", default: 100_000)
    add("batch", whole: "batch_size")
    add("accumulate", whole: "grad_accum_steps")
    add("seed", whole: "seed")
    add("valid-every", whole: "valid_freq")
    add("valid-batches", whole: "num_valid_batches")
    add("checkpoint-every", whole: "ckpt_freq")
    add("keep", whole: "num_ckpt_keep")

    if let frequency = whole("sample_freq"), frequency > 0, values["sample_sentences"] != .texts([])
    {
      add("sample-every", String(frequency))
      if case .texts(let texts) = values["sample_sentences"] {
        for text in texts { add("sample-sentence", text) }
      }
    }

    add("lr", number: "optim.lr")
    add("weight-decay", number: "optim.weight_decay")
    if case .numbers(let betas) = values["optim.betas"], betas.count == 2 {
      add("beta1", Self.text(betas[0]))
      add("beta2", Self.text(betas[1]))
    }
    add("epsilon", number: "optim.eps")
    add("clip", number: "optim.max_norm")
    add("warmup", whole: "optim.warmup_steps")
    add("schedule", text("optim.schedule"))
    add("lr-min-ratio", number: "optim.lr_min_ratio")
    add("ema-decay", number: "ema_decay")
    if let kind = text("optim.type") {
      add("optimizer", kind)
      if kind == "muon" {
        add("muon-lr", number: "optim.muon_lr")
        add("muon-momentum", number: "optim.muon_momentum")
        add("muon-polar-steps", whole: "optim.muon_polar_steps")
        add(flag: "muon-head", if: flag("optim.muon_head"))
        add(flag: "muon-rms-match", if: flag("optim.muon_rms_match"))
      }
    }

    add("multiplier", whole: "flow_batch_multiplier")
    add("eos-weight", number: "eos_loss_weight")
    add("text-dropout", number: "text_dropout")
    add("voice-dropout", number: "voice_dropout")
    if let steps = whole("stats_ema_steps"), steps > 0 {
      add("statistics", "ema")
      add("statistics-steps", String(steps))
      add("statistics-decay", number: "stats_ema_decay")
    }
    for (name, values) in options {
      arguments += values.isEmpty ? ["--" + name] : values.flatMap { ["--" + name, $0] }
    }
    return arguments
  }

  // MARK: Parts

  private func addData(_ add: (String, String?) -> Void) throws {
    for (option, key) in [("train", "data.train_jsonl"), ("valid", "data.valid_jsonl")]
    where !options.contains(where: { $0.name == option }) {
      for shard in text(key).map(Self.shards) ?? [] { add(option, shard) }
    }
    add("max-seconds", number("data.max_duration_sec").map(Self.text))
    // No window officially means as long as may be.
    let window = number("data.max_voice_prompt_sec") ?? 5
    // It is one of cuts, not of a voice bank's references.
    let hasBank = options.contains { $0.name == "prompts" && $0.values == ["bank"] }
    if !hasBank { add("prompt-seconds", Self.text(window > 0 ? window : 3600)) }
    add("prompts", "cut")
    add("prompt-trim", Self.text(number("data.prompt_trim_max_sec") ?? 0.5))
    add("period-dropout", Self.text(number("data.final_punct_dropout") ?? 0.3))
    add("bucket-batches", whole("data.num_bucket_batches").map(String.init))
  }

  private func addTask(_ add: (String, String?) -> Void, flag addFlag: (String) -> Void) throws {
    let distillsHead = flag("head_distill")
    let guidance = number("distill_cfg_coef") ?? 0
    if !flag("start_from_pretrained", default: true), !distillsHead, guidance <= 0 {
      addFlag("fresh")
    }
    if flag("reset_text_embedding") { addFlag("reset-text") }
    add("objective", text("flow.type") ?? "lsd")
    for setting in settings("flow.kwargs") {
      switch setting.key {
      case "distill_prob": add("distill-prob", setting.value)
      case "stopgrad_type": if setting.value == "classic" { addFlag("classic-stop-gradient") }
      case "w_t_dims", "w_t_depth": try refuseOther(setting)
      default: add("flow", "\(setting.key)=\(setting.value)")
      }
    }
    if distillsHead {
      add("distill", "head")
      add("teacher", text("head_distill_from").map(Self.weights))
      add("head-loss", text("head_distill_loss"))
      add("head-draws", whole("head_distill_samples").map(String.init))
      add("head-temperature", number("head_distill_temp").map(Self.text))
      add("head-from", text("head_init_from").map(Self.weights))
    } else if guidance > 0 {
      add("distill", "backbone")
      add("guidance", Self.text(guidance))
      if let config = text("distill_teacher_config"), let path = text("distill_teacher_weights") {
        let directory = Self.weights(path)
        if directory != path {
          add("teacher", directory)
        } else {
          add("teacher", Self.modelPath(config))
          for setting in settings("distill_teacher_overrides") {
            add("teacher-set", "\(setting.key)=\(setting.value)")
          }
          add("teacher-set", "weights_path=\(path)")
        }
      }
      add("student-from", text("student_init_from").map(Self.weights))
    }
  }

  private func refuse() throws {
    if flag("refl.enabled") {
      throw Failure.recipe(file, "'refl.enabled': reward fine-tuning is not done here")
    }
    if !flag("data.shuffle", default: true) {
      throw Failure.recipe(file, "'data.shuffle: false': utterances are always shuffled here")
    }
    for key in ["distill_teacher_use_ema", "init_from_use_ema"] where !flag(key, default: true) {
      throw Failure.recipe(
        file, "'\(key): false': the weights of a run are its running average here")
    }
    for key in ["valid_freq", "ckpt_freq", "log_freq", "grad_accum_steps", "num_ckpt_keep"] {
      if let value = whole(key), value < 1 {
        throw Failure.recipe(file, "'\(key)' must be at least 1, not \(value)")
      }
    }
    if let betas = values["optim.betas"], case .numbers(let numbers) = betas, numbers.count != 2 {
      throw Failure.recipe(file, "'optim.betas' must be two numbers")
    }
    if (number("distill_cfg_coef") ?? 0) > 0 {
      if flag("head_distill") {
        throw Failure.recipe(file, "'head_distill' and 'distill_cfg_coef' are different runs")
      }
      if !flag("start_from_pretrained", default: true), text("distill_teacher_config") == nil {
        throw Failure.recipe(
          file,
          "it distils without a teacher: set 'distill_teacher_config', or start from "
            + "pretrained weights")
      }
    }
    if let loss = text("head_distill_loss"), !["mse", "drifting"].contains(loss) {
      throw Failure.recipe(file, "'head_distill_loss' must be mse or drifting, not '\(loss)'")
    }
    if text("distill_teacher_config") != nil, text("distill_teacher_weights") == nil {
      throw Failure.recipe(file, "'distill_teacher_config' needs 'distill_teacher_weights'")
    }
  }

  /// The learned precision has one shape here, the official one.
  private func refuseOther(_ setting: Setting) throws {
    guard ["w_t_dims": "32", "w_t_depth": "3"][setting.key] == setting.value else {
      throw Failure.recipe(file, "'flow.kwargs.\(setting.key)' can only be its default")
    }
  }

  // MARK: Values

  private func text(_ key: String) -> String? {
    guard case .text(let text) = values[key], !text.isEmpty else { return nil }
    return text
  }
  private func number(_ key: String) -> Double? {
    guard case .number(let number) = values[key] else { return nil }
    return number
  }
  private func whole(_ key: String) -> Int? {
    guard case .whole(let whole) = values[key] else { return nil }
    return whole
  }
  private func flag(_ key: String, default fallback: Bool = false) -> Bool {
    guard case .flag(let flag) = values[key] else { return fallback }
    return flag
  }
  private func settings(_ key: String) -> [Setting] {
    guard case .settings(let settings) = values[key] else { return [] }
    return settings
  }

  private static func text(_ number: Double) -> String {
    number == number.rounded() && abs(number) < 1e15 ? String(Int(number)) : String(number)
  }

  /// An official path of a configuration in the package is the name of that configuration.
  private static func modelPath(_ path: String) -> String {
    let name = path.split(separator: "/").last.map(String.init) ?? path
    guard path.contains("pocket_tts/config/"), path.hasSuffix(".yaml"),
      !FileManager.default.fileExists(atPath: path)
    else { return path }
    return String(name.dropLast(5))
  }

  /// An official checkpoint that is there is read itself; one that is not stands for the run directory,
  /// which is a model here. Other paths as they are.
  private static func weights(_ path: String) -> String {
    guard path.hasSuffix(".pt"), !FileManager.default.fileExists(atPath: path) else { return path }
    let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
      .joined(separator: "/")
    return folder.isEmpty ? "." : folder
  }

  /// The shards of an official manifest: those named after it.
  private static func shards(_ manifest: String) -> [String] {
    guard manifest.hasSuffix(".jsonl") else { return [manifest] }
    let stem = String(manifest.dropLast(6))
    let exists = FileManager.default.fileExists(atPath: stem + ".ttsr")
    return [exists ? stem + ".ttsr" : stem + "-*.ttsr"]
  }
}
