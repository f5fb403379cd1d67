/// How long a run goes on, how it is watched and what it keeps, whatever it teaches. Only `steps` and
/// `sampleEvery` may differ when a run is continued.
public struct RunOptions: Sendable, Hashable {
  /// Optimiser steps in all.
  public var steps = 20_000
  /// Micro-batches whose gradients make one step.
  public var accumulate = 1
  /// How much of the running average of the weights a step keeps; 0 for none.
  public var averageDecay = 0.999
  /// Seed of all that is random.
  public var seed: UInt64 = 42
  /// Steps between validations.
  public var validEvery = 2000
  /// Batches of a validation at most.
  public var validBatches = 50
  /// Whether the model that did best in validation is kept.
  public var keepsBest = false
  /// Validations without a lower loss after which a run ends; 0 for none.
  public var patience = 0
  /// Steps between checkpoints.
  public var checkpointEvery = 2000
  /// Checkpoints kept.
  public var keptCheckpoints = 3
  /// Steps between samples; 0 for none.
  public var sampleEvery = 0

  /// The usual ones.
  public init() {}

  /// The options that change the result, by the names of the command line. The number of steps and how often a
  /// run is saved and looked at are not among them: a checkpoint more or less changes nothing.
  var recorded: [String: String] {
    ["accumulate": "\(accumulate)", "ema-decay": "\(averageDecay)", "seed": "\(seed)"]
  }

  /// What else may not differ in a continued run, though it changes no weights.
  var recordedHabits: [String: String] {
    [
      "checkpoint-every": "\(checkpointEvery)", "keep-best": "\(keepsBest)",
      "patience": "\(patience)", "valid-batches": "\(validBatches)",
      "valid-every": "\(validEvery)",
    ]
  }
}
