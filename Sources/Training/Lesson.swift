public import Base
public import Processes
public import Tensors

/// What a run teaches: a model, its losses and its data. The run itself, its steps, checkpoints and logs,
/// knows nothing of these.
///
/// A lesson holds no changing state: parameters and buffers are passed in, and all that is random follows from
/// a seed and a number. A continued run therefore makes the same steps as an uninterrupted one.
public protocol Lesson: Sendable {
  /// The start values of what trains, by the names that checkpoints use.
  var parameters: [String: Tensor] { get }
  /// The start values of what does not train but may change (statistics).
  var buffers: [String: Tensor] { get }
  /// How the parameters are optimised; each belongs to one group. At least one: the first one is that of the
  /// run, whose optimiser counts every step.
  var groups: [ParameterGroup] { get }
  /// What may not differ when a run is continued.
  var facts: LessonFacts { get }
  /// How many steps its configuration asks for; nil: it does not say.
  var steps: Int? { get }

  /// Gets ready for steps, in a directory that is the run's by now; the lesson to go on with. All processes
  /// call it.
  func prepared(for group: ProcessGroup, _ observer: TrainingObserver) throws -> any Lesson

  // MARK: Steps

  /// Reads a micro-batch, counted from 0. It is called ahead of time, on another thread, and may be called
  /// again for the same one.
  func microBatch(_ number: Int) throws -> any MicroBatch
  /// Whether the micro-batches of a step, counted from 1, change buffers: each process then has them
  /// all read.
  func changesBuffers(step: Int) -> Bool

  // MARK: Validation

  /// The weight of each batch of a validation in the means; none: there is no validation. The order of
  /// batches is one that suits a validation of the first few.
  var validationWeights: [Double] { get }
  /// The metrics of a batch of the validation, counted from 0: the same each time for the same weights.
  func validate(
    _ number: Int, parameters: [String: Tensor], buffers: [String: Tensor]
  ) throws -> [String: Double]
  /// The metrics that validations are compared by: the first one that there is; lower is better.
  var watched: [String] { get }

  // MARK: What comes of it

  /// Sees to it that samples can be made, before the run begins.
  func checkSamples() throws
  /// Makes something to listen to with some weights. What fails otherwise than in
  /// ``SampleCollection/add(_:_:)`` costs the remaining samples of the step, not the run.
  func makeSamples(
    _ samples: SampleCollection, parameters: [String: Tensor], buffers: [String: Tensor]
  ) throws
  /// Writes a model directory: each file is complete or absent, the weights come last.
  ///
  /// - Parameter parameters: values for all of ``parameters``.
  func write(parameters: [String: Tensor], buffers: [String: Tensor], to directory: String) throws
}

extension Lesson {
  /// It does not say.
  public var steps: Int? { nil }
  /// Nothing to get ready.
  public func prepared(
    for group: ProcessGroup, _ observer: TrainingObserver
  ) throws -> any Lesson { self }
  /// They do not.
  public func changesBuffers(step: Int) -> Bool { false }
  /// The loss.
  public var watched: [String] { ["loss"] }
  /// They can.
  public func checkSamples() throws {}
}

/// Data of a micro-batch that have been read, with all that is random in what is learnt from them.
public protocol MicroBatch: Sendable {
  /// The gradients of the losses, their values, and the buffers afterwards.
  func learn(_ input: LearningInput) throws -> LearningReport
  /// The buffers that ``learn(_:)`` would leave: another process computes the rest.
  func buffers(after input: LearningInput) throws -> [String: Tensor]
}

extension MicroBatch {
  /// They stay as they are.
  public func buffers(after input: LearningInput) throws -> [String: Tensor] { input.buffers }
}

/// What a micro-batch is learnt from with.
public struct LearningInput: Sendable {
  /// The step that is being made, from 1.
  public let step: Int
  /// All that trains.
  public let parameters: ParameterSet
  /// After the micro-batch before.
  public let buffers: [String: Tensor]
  /// Micro-batches that make a step.
  let accumulate: Int

  /// The gradients of a loss, as this micro-batch's share of the step's.
  ///
  /// - Parameters:
  ///   - names: of the parameters that the gradients are of; the others are constants. nil: all.
  ///   - loss: of the values of all parameters, by name; one number.
  /// - Returns: the gradients by name, without those of parameters that the loss does not depend on.
  /// - Throws: `badInput` when the loss is not finite.
  public func gradients(
    for names: Set<String>? = nil, of loss: ([String: Tensor]) throws -> Tensor
  ) throws -> [String: Tensor] {
    let tape = Tape()
    let learnt = parameters.names.indices.filter { names?.contains(parameters.names[$0]) ?? true }
    let variables = learnt.map { tape.watch(parameters.values[$0]) }
    let learntNames = learnt.map { parameters.names[$0] }
    let own = Dictionary(uniqueKeysWithValues: zip(learntNames, variables))
    let all = own.count == parameters.names.count ? own : parameters.dictionary.merging(own) { $1 }
    let whole = try loss(all)
    guard whole.scalar.isFinite else { throw Failure.nonFiniteLoss(step: step) }
    let share = accumulate == 1 ? whole : whole * (1 / Float(accumulate))
    return zip(learntNames, tape.gradients(of: share, for: variables))
      .reduce(into: [:]) { $0[$1.0] = $1.1 }
  }
}

/// What a micro-batch came to.
public struct LearningReport: Sendable {
  /// By parameter, from ``LearningInput/gradients(for:of:)``. A group of which none is here is left as it is in
  /// this step, if no other micro-batch has one; its optimiser does not count the step.
  public var gradients: [String: Tensor]
  /// For the log, `loss` among them, the sum of what is learnt from.
  public var metrics: [String: Double]
  /// For the next micro-batch.
  public var buffers: [String: Tensor]

  /// What a micro-batch came to.
  public init(
    gradients: [String: Tensor], metrics: [String: Double], buffers: [String: Tensor]
  ) {
    self.gradients = gradients
    self.metrics = metrics
    self.buffers = buffers
  }
}

/// What a run is made of, apart from its own options: it is written down and may not differ when a run is
/// continued.
public struct LessonFacts: Sendable {
  /// The options that change the result, by the names of the command line.
  public var options: [String: String]
  /// The digests of the models that it begins with, by what they are for.
  public var models: [String: String]
  /// The digest of the buffers that the model has.
  public var buffers: SHA256Digest
  /// Descriptions of the data by the names of their options, each with a member `digest`; null where an option
  /// is not given.
  public var data: [String: JSON]
  /// The ids of the stages that the data came from.
  public var parents: [String]
  /// Digests of data that no stage stands for, by option.
  public var digests: [String: String]

  /// What a run is made of.
  public init(
    options: [String: String], models: [String: String], buffers: SHA256Digest,
    data: [String: JSON], parents: [String] = [], digests: [String: String] = [:]
  ) {
    self.options = options
    self.models = models
    self.buffers = buffers
    self.data = data
    self.parents = parents
    self.digests = digests
  }
}
