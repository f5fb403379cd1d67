public import ArgumentParser
public import ModelInterface
import TrainingTools

extension TrainingTask.Override: ExpressibleByArgument {
  /// Reads `key=value`.
  public init?(argument: String) { self.init(argument) }
}

/// What the model is when it begins, and what it learns from.
struct TaskOptions: ParsableArguments {
  /// Kinds of distillation.
  enum Distill: String, ExpressibleByArgument, CaseIterable {
    case backbone, head
  }

  /// How a new head learns from a frozen one.
  enum HeadLoss: String, ExpressibleByArgument, CaseIterable {
    case mse, drifting
  }

  @Flag(help: "Begin with random weights of the language model; the codec is the model's.")
  var fresh = false

  @Option(
    help: ArgumentHelp(
      "Set a key of the model's configuration, as in flow_lm.transformer.num_layers=6; may be given several times.",
      valueName: "key=value"))
  var set: [TrainingTask.Override] = []

  @Flag(help: "Begin with random weights of the text's embedding: for another tokenizer.")
  var resetText = false

  @Option(
    help: ArgumentHelp(
      """
      What the flow head learns by: lsd, flow_matching or drifting. Another than the model's begins \
      with a new head. Default: the model's.
      """, valueName: "name"))
  var objective: String?

  @Option(
    help: ArgumentHelp(
      """
      Learn from a model rather than from recordings: backbone, a student's backbone learns what a \
      teacher's makes; head, a new flow head learns what a frozen one makes.
      """, valueName: "part"))
  var distill: Distill?

  @Option(
    help: ArgumentHelp(
      """
      The teacher's model, or a checkpoint (.pt) of the official trainer, whose configuration is that \
      of --model. Default: a frozen copy of the model as it begins. Of another model a student takes \
      its start weights.
      """, valueName: "path"))
  var teacher: String?

  @Option(
    help: ArgumentHelp(
      "Set a key of the teacher's configuration; may be given several times.",
      valueName: "key=value"))
  var teacherSet: [TrainingTask.Override] = []

  @Option(
    help: ArgumentHelp(
      """
      How far the teacher goes beyond what it makes without text and voice: 1 is its own output; \
      officially 2, which the student then makes by itself.
      """, valueName: "x"))
  var guidance: Float?

  @Option(
    help: ArgumentHelp(
      """
      A model, a file of weights or a checkpoint (.pt) of the official trainer, that the student's \
      backbone begins as rather than as the teacher's.
      """,
      valueName: "path"))
  var studentFrom: String?

  @Option(
    help: ArgumentHelp(
      "How a new head learns: mse, on the frozen head's output for the same noise; or drifting.",
      valueName: "name"))
  var headLoss: HeadLoss?

  @Option(
    help: ArgumentHelp(
      "Draws of the frozen head at each frame, with --head-loss drifting.", valueName: "n"))
  var headDraws: Int?

  @Option(
    help: ArgumentHelp("Temperature of the noise that both heads get.", valueName: "x"))
  var headTemperature: Float?

  @Option(
    help: ArgumentHelp(
      """
      A model, a file of weights or a checkpoint (.pt) of the official trainer, whose flow head the new \
      one begins as.
      """, valueName: "path"))
  var headFrom: String?

  func validate() throws {
    try refuse(
      unless: distill == .backbone, need: "backbone",
      [
        "teacher-set": !teacherSet.isEmpty, "guidance": guidance != nil,
        "student-from": studentFrom != nil,
      ])
    try refuse(
      unless: distill == .head, need: "head",
      [
        "head-loss": headLoss != nil, "head-draws": headDraws != nil,
        "head-temperature": headTemperature != nil, "head-from": headFrom != nil,
      ])
    guard distill != nil || teacher == nil else {
      throw ValidationError("--teacher needs --distill.")
    }
    try check("guidance", Double(guidance ?? 1), 0...100)
    try check("head-draws", headDraws ?? 1, atLeast: 1)
    guard headDraws ?? 1 <= 1024 else {
      throw ValidationError("--head-draws must be at most 1024.")
    }
    try check("head-temperature", Double(headTemperature ?? 1), 0...100)
  }

  private func refuse(unless holds: Bool, need kind: String, _ given: [String: Bool]) throws {
    guard !holds, let name = given.filter(\.value).keys.sorted().first else { return }
    throw ValidationError("--\(name) needs --distill \(kind).")
  }

  func set(_ task: inout TrainingTask, seed: UInt64) {
    task.isFresh = fresh
    task.overrides = set
    task.resetsText = resetText
    task.objective = objective
    task.seed = seed
    switch distill {
    case nil: break
    case .backbone:
      var options = BackboneDistillation()
      options.teacher = teacher
      options.teacherOverrides = teacherSet
      options.guidance = guidance ?? 1
      options.student = studentFrom
      task.distillation = .backbone(options)
    case .head:
      var options = HeadDistillation()
      options.teacher = teacher
      options.isDrifting = headLoss == .drifting
      options.samples = headDraws ?? 1
      options.temperature = headTemperature ?? 1
      options.head = headFrom
      task.distillation = .head(options)
    }
  }
}
