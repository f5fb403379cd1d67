/// What a model is trained for, and what it is when it begins.
public struct TrainingTask: Sendable, Hashable {
  /// A key of the configuration in dots (`flow_lm.transformer.num_layers`) and its value in YAML.
  public struct Override: Sendable, Hashable {
    /// The key.
    public var key: String
    /// The value.
    public var value: String

    /// A key and its value.
    public init(key: String, value: String) {
      self.key = key
      self.value = value
    }

    /// Reads `key=value`.
    public init?(_ text: String) {
      guard let cut = text.firstIndex(of: "="), cut != text.startIndex else { return nil }
      self.init(key: String(text[..<cut]), value: String(text[text.index(after: cut)...]))
    }
  }

  /// What is learned from.
  public enum Distillation: Sendable, Hashable {
    /// The recordings.
    case none
    /// What another backbone, or a frozen copy of the start, makes of them.
    case backbone(BackboneDistillation)
    /// What a frozen flow head makes of noise.
    case head(HeadDistillation)
  }

  /// Changes of the model's configuration.
  public var overrides: [Override] = []
  /// Whether the language model begins with random weights.
  public var isFresh = false
  /// Whether the embedding of the text does.
  public var resetsText = false
  /// The kind of the flow head by its official name; another than the model's begins with random
  /// weights. nil: the model's.
  public var objective: String?
  /// The temperature that a drifting head's kernel begins with.
  public var kernelTemperature: Float = 10
  /// What is learned from.
  public var distillation = Distillation.none
  /// Seed of random start weights.
  public var seed: UInt64 = 42

  /// To learn from recordings, as the model is.
  public init() {}
}

/// A student's backbone learns what a teacher's makes of the same text, voice and latents.
public struct BackboneDistillation: Sendable, Hashable {
  /// The teacher's model; nil: a frozen copy of the student as it begins. Of another model the student
  /// takes its start weights, as many of the first and last layers and of the strongest channels as
  /// it has.
  public var teacher: String?
  /// Changes of the teacher's configuration.
  public var teacherOverrides: [TrainingTask.Override] = []
  /// How far the teacher's output goes beyond what it makes without text and voice: 1 is its own
  /// output, more is classifier-free guidance.
  public var guidance: Float = 1
  /// A model whose backbone and conditioning the student begins with rather than the teacher's.
  public var student: String?

  /// A frozen copy as the teacher, without guidance.
  public init() {}
}

/// A new flow head learns what a frozen one makes of the same backbone output.
public struct HeadDistillation: Sendable, Hashable {
  /// The model that the backbone and the frozen head are taken from; nil: the model itself.
  public var teacher: String?
  /// Whether the new head is attracted by draws of the frozen one, as drifting models learn, rather
  /// than regressed on its output for the same noise.
  public var isDrifting = false
  /// Draws of the frozen head at each position, for drifting.
  public var samples = 1
  /// The variance of the noise.
  public var temperature: Float = 1
  /// A model whose head the new one begins as; nil: random weights.
  public var head: String?

  /// Regression on the model's own head.
  public init() {}
}
