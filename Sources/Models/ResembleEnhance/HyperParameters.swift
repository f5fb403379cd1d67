import Base
import Yams

/// Which model a checkpoint is of.
enum Part: String, Sendable {
  /// Autoencoder, flow matching, vocoder, and a denoiser within.
  case enhancer
  /// The denoiser alone.
  case denoiser

  /// For messages.
  var withArticle: String { self == .enhancer ? "an enhancer" : "a denoiser" }
}

/// The hyper-parameters of a run, as its `hparams.yaml` has them: the keys that it names, in its order.
/// What it does not name has the default of the trainer.
struct HyperParameters: Sendable, Equatable {
  /// A value of a key.
  enum Value: Sendable, Equatable {
    case none
    case flag(Bool)
    case whole(Int)
    case number(Double)
    case text(String)
    case numbers([Double])
  }

  private enum Kind { case flag, whole, number, text, path, numbers }

  private struct Key {
    var kind: Kind
    var isOptional = false
    /// The value where nothing is said; nil for none.
    var fallback: Value = .none
    /// Where it is known; nil for everywhere.
    var part: Part?
  }

  /// Names and values, in order.
  private(set) var values: [(key: String, value: Value)] = []
  /// Which model they are for.
  let part: Part

  static func == (one: HyperParameters, other: HyperParameters) -> Bool {
    one.part == other.part && one.values.elementsEqual(other.values) { $0 == $1 }
  }

  private static let keys: [String: Key] = [
    "fg_dir": Key(kind: .path, fallback: .text("data/fg")),
    "bg_dir": Key(kind: .path, fallback: .text("data/bg")),
    "rir_dir": Key(kind: .path, fallback: .text("data/rir")),
    "load_fg_only": Key(kind: .flag, fallback: .flag(false)),
    "praat_augment_prob": Key(kind: .number, fallback: .number(0)),
    "wav_rate": Key(kind: .whole, fallback: .whole(44100)),
    "n_fft": Key(kind: .whole, fallback: .whole(2048)),
    "win_size": Key(kind: .whole, fallback: .whole(2048)),
    "hop_size": Key(kind: .whole, fallback: .whole(420)),
    "num_mels": Key(kind: .whole, fallback: .whole(128)),
    "stft_magnitude_min": Key(kind: .number, fallback: .number(1e-4)),
    "preemphasis": Key(kind: .number, fallback: .number(0.97)),
    "mix_alpha_range": Key(kind: .numbers, fallback: .numbers([0.2, 0.8])),
    "nj": Key(kind: .whole, fallback: .whole(64)),
    "training_seconds": Key(kind: .number, fallback: .number(1)),
    "batch_size_per_gpu": Key(kind: .whole, fallback: .whole(16)),
    "min_lr": Key(kind: .number, fallback: .number(1e-5)),
    "max_lr": Key(kind: .number, fallback: .number(1e-4)),
    "warmup_steps": Key(kind: .whole, fallback: .whole(1000)),
    "max_steps": Key(kind: .whole, fallback: .whole(1_000_000)),
    "gradient_clipping": Key(kind: .number, fallback: .number(1)),
    "cfm_solver_method": Key(kind: .text, fallback: .text("midpoint"), part: .enhancer),
    "cfm_solver_nfe": Key(kind: .whole, fallback: .whole(64), part: .enhancer),
    "cfm_time_mapping_divisor": Key(kind: .whole, fallback: .whole(4), part: .enhancer),
    "univnet_nc": Key(kind: .whole, fallback: .whole(96), part: .enhancer),
    "lcfm_latent_dim": Key(kind: .whole, fallback: .whole(64), part: .enhancer),
    "lcfm_training_mode": Key(kind: .text, fallback: .text("ae"), part: .enhancer),
    "lcfm_z_scale": Key(kind: .number, fallback: .number(5), part: .enhancer),
    "vocoder_extra_dim": Key(kind: .whole, fallback: .whole(32), part: .enhancer),
    "gan_training_start_step": Key(
      kind: .whole, isOptional: true, fallback: .whole(5000), part: .enhancer),
    "enhancer_stage1_run_dir": Key(kind: .path, isOptional: true, part: .enhancer),
    "denoiser_run_dir": Key(kind: .path, isOptional: true, part: .enhancer),
    "force_gaussian_prior": Key(kind: .flag, fallback: .flag(false), part: .enhancer),
    "distort_prob": Key(kind: .number, fallback: .number(0.5), part: .denoiser),
  ]

  /// The value of a key, or its default.
  subscript(key: String) -> Value {
    values.first { $0.key == key }?.value ?? Self.keys[key]?.fallback ?? .none
  }

  /// The value of a key as a whole number; 0 where it is none.
  func whole(_ key: String) -> Int { if case .whole(let value) = self[key] { value } else { 0 } }

  /// The value of a key as a number; 0 where it is none.
  func number(_ key: String) -> Double {
    if case .number(let value) = self[key] { value } else { 0 }
  }

  /// The value of a key, to be read.
  func text(_ key: String) -> String {
    if case .text(let text) = self[key] { text } else { Self.text(self[key]) }
  }

  // MARK: Changes

  /// Those of the trainer.
  init(part: Part) { self.part = part }

  /// Puts another value in a key's place.
  mutating func set(_ key: String, _ value: Value) {
    if let index = values.firstIndex(where: { $0.key == key }) {
      values[index].value = value
    } else {
      values.append((key, value))
    }
  }

  /// Changes a key to a value in YAML.
  ///
  /// - Parameter source: where it is from, for messages.
  /// - Throws: `configuration` for a key that is not known, or another kind of value.
  mutating func set(_ key: String, yaml: String, source: String) throws {
    do {
      let one = try HyperParameters(yaml: "\(key): \(yaml)\n", part: part, file: source)
      for (key, value) in one.values { set(key, value) }
    } catch let failure as Failure {
      throw Failure.configuration(
        source, failure.problem, "the keys are those of the package's hparams.yaml")
    }
  }

  /// What changes the result of a training, by name.
  var recorded: [String: String] {
    let unrecorded: Set = [
      "fg_dir", "bg_dir", "rir_dir", "nj", "max_steps", "cfm_solver_method", "cfm_solver_nfe",
      "enhancer_stage1_run_dir", "denoiser_run_dir",
    ]
    let names = Self.keys.filter { !unrecorded.contains($0.key) && $0.value.part ?? part == part }
    return Dictionary(uniqueKeysWithValues: names.keys.map { ($0, text($0)) })
  }

  /// Whether a name is that of a hyper-parameter.
  ///
  /// - Parameter part: of this part alone; nil for any.
  static func knows(_ name: String, of part: Part? = nil) -> Bool {
    keys[name].map { part == nil || $0.part == part } ?? false
  }

  // MARK: YAML

  /// Reads a file of one mapping, as the package writes it. Tags of Python objects are never followed:
  /// one that ends in `Path` stands for the parts of a path, any other is refused.
  ///
  /// - Throws: `configuration` for a key that is not known, or another kind of value.
  init(yaml: String, part: Part, file: String) throws {
    let node: Node?
    do { node = try Yams.compose(yaml: yaml) } catch {
      throw Failure.hyperParameters(file, "not valid YAML: \(error)")
    }
    try self.init(node, part: part, file: file)
  }

  /// Reads a mapping within a file.
  init(_ node: Node?, part: Part, file: String) throws {
    guard let mapping = node?.mapping else {
      throw Failure.hyperParameters(file, "it has no hyper-parameters")
    }
    self.part = part
    var seen = Set<String>()
    for (name, node) in mapping {
      guard let name = name.scalar?.string, let key = Self.keys[name],
        key.part == nil || key.part == part
      else {
        throw Failure.hyperParameters(
          file, "'\(name.scalar?.string ?? "?")' is no hyper-parameter of the \(part.rawValue)")
      }
      guard seen.insert(name).inserted else {
        throw Failure.hyperParameters(file, "'\(name)' appears twice")
      }
      guard let value = try Self.value(node, key, name, file) else {
        throw Failure.hyperParameters(file, "'\(name)' has another kind of value")
      }
      values.append((name, value))
    }
  }

  private static func value(
    _ node: Node, _ key: Key, _ name: String, _ file: String
  ) throws -> Value? {
    let tag = node.tag.description
    if let object = tag.firstRange(of: "python/") {
      let type = tag[object.lowerBound...].split(separator: ":").last ?? ""
      guard key.kind == .path, type.hasSuffix("Path") else {
        throw Failure.hyperParameters(file, "'\(name)' refuses !!\(tag[object.lowerBound...])")
      }
    }
    if let sequence = node.sequence {
      let parts = sequence.compactMap { $0.scalar?.string }
      guard parts.count == sequence.count else { return nil }
      if key.kind == .path { return .text(path(parts)) }
      let numbers = parts.compactMap { Double($0) }
      guard key.kind == .numbers, numbers.count == 2, parts.count == 2 else { return nil }
      return .numbers(numbers)
    }
    guard let scalar = node.scalar else { return nil }
    if scalar.style == .plain, ["", "~", "null", "Null", "NULL"].contains(scalar.string) {
      return key.isOptional ? Value.none : nil
    }
    return value(scalar.string, key.kind)
  }

  private static func value(_ text: String, _ kind: Kind) -> Value? {
    switch kind {
    case .text, .path: return .text(text)
    case .flag: return ["true": .flag(true), "false": .flag(false)][text.lowercased()]
    case .whole: return Int(text).map { .whole($0) }
    case .number: return Double(text).flatMap { $0.isFinite ? .number($0) : nil }
    case .numbers: return nil
    }
  }

  /// A path from its parts, the first being `/` where it is absolute.
  private static func path(_ parts: [String]) -> String {
    guard let first = parts.first else { return "." }
    let rest = parts.dropFirst().joined(separator: "/")
    if first == "/" { return "/" + rest }
    return rest.isEmpty ? first : first + "/" + rest
  }

  /// Lines of a mapping that this and the package read, each after an indentation.
  func yaml(indentation: String = "") -> String {
    values.map { key, value in "\(indentation)\(key): \(Self.text(value))\n" }.joined()
  }

  private static func text(_ value: Value) -> String {
    switch value {
    case .none: "null"
    case .flag(let flag): flag ? "true" : "false"
    case .whole(let number): String(number)
    case .number(let number): text(number)
    case .text(let text): String(decoding: JSON.string(text).canonicalBytes, as: UTF8.self)
    case .numbers(let numbers): "[" + numbers.map { text($0) }.joined(separator: ", ") + "]"
    }
  }

  /// YAML 1.1 takes a number with an exponent for one only if it has a point.
  private static func text(_ number: Double) -> String {
    let text = String(number)
    guard let exponent = text.firstIndex(of: "e"), !text.contains(".") else { return text }
    return text[..<exponent] + ".0" + text[exponent...]
  }
}
