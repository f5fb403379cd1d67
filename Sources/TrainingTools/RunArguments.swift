public import ArgumentParser
public import Training

/// What the run options of a tool are when nobody chose.
public protocol RunDefaults {
  /// They.
  static var options: RunOptions { get }
  /// What else may say how many steps there are, for the help.
  static var stepsComeFrom: String? { get }
}

extension RunDefaults {
  /// Nothing.
  public static var stepsComeFrom: String? { nil }
}

/// How long a run goes on, what it leaves behind, and where: options of every tool that trains.
public struct RunArguments<Defaults: RunDefaults>: ParsableArguments {
  /// The run directory.
  @Option(
    help: ArgumentHelp("The run directory to write.", valueName: "dir"), completion: .directory)
  public var run: String

  /// Whether a run that is there is continued.
  @Flag(
    help: """
      Continue the run from its last whole checkpoint; only --steps and samples may differ. Where there is no \
      run yet, begin it.
      """)
  public var resume = false

  /// Optimiser steps; nil: nobody chose.
  @Option(
    help: ArgumentHelp(
      "Optimiser steps in all. Default: \(Defaults.stepsComeFrom.map { $0 + ", or " } ?? "")"
        + "\(Defaults.options.steps).", valueName: "n"))
  public var steps: Int?

  @Option(help: ArgumentHelp("Micro-batches that make one step.", valueName: "n"))
  var accumulate = Defaults.options.accumulate

  @Option(help: ArgumentHelp("Seed of order, noise and dropout.", valueName: "n"))
  var seed = Defaults.options.seed

  @Option(
    help: ArgumentHelp(
      "How much of the running average of the weights a step keeps; 0: no average.", valueName: "x")
  )
  var emaDecay = Defaults.options.averageDecay

  @Option(
    help: ArgumentHelp(
      "Steps between validations; there is one before the first step and one at the end.",
      valueName: "n"))
  var validEvery = Defaults.options.validEvery

  @Option(help: ArgumentHelp("Micro-batches of a validation at most.", valueName: "n"))
  var validBatches = Defaults.options.validBatches

  @Flag(
    help: "Keep the model with the lowest held-out loss so far in best/, a model directory too.")
  var keepBest = false

  @Option(
    help: ArgumentHelp(
      "End the run after so many validations without a lower loss; 0: go on to the last step.",
      valueName: "n"))
  var patience = Defaults.options.patience

  @Option(help: ArgumentHelp("Steps between checkpoints.", valueName: "n"))
  var checkpointEvery = Defaults.options.checkpointEvery

  @Option(help: ArgumentHelp("Checkpoints kept.", valueName: "n"))
  var keep = Defaults.options.keptCheckpoints

  /// Those of the tool.
  public init() {}

  /// Checks what the parser cannot.
  public func validate() throws {
    if let steps { try check("steps", steps, atLeast: 1) }
    try check("accumulate", accumulate, atLeast: 1)
    try check("valid-every", validEvery, atLeast: 1)
    try check("valid-batches", validBatches, atLeast: 1)
    try check("checkpoint-every", checkpointEvery, atLeast: 1)
    try check("patience", patience, atLeast: 0)
    try check("keep", keep, atLeast: 1)
    guard accumulate <= 65536 else {
      throw ValidationError("--accumulate must be at most 65536.")
    }
    try check("ema-decay", emaDecay, 0...1)
    guard emaDecay < 1 else { throw ValidationError("--ema-decay must be below 1.") }
  }

  /// Whether the run watches a validation, for which there must be data.
  public var needsValidation: Bool { keepBest || patience > 0 }

  /// The options of the run; samples are the tool's.
  public var options: RunOptions {
    var options = Defaults.options
    options.steps = steps ?? options.steps
    options.accumulate = accumulate
    options.averageDecay = emaDecay
    options.seed = seed
    options.validEvery = validEvery
    options.validBatches = validBatches
    options.checkpointEvery = checkpointEvery
    options.keptCheckpoints = keep
    options.keepsBest = keepBest
    options.patience = patience
    return options
  }
}

/// Refuses a value that is not finite or outside a range.
public func check(_ name: String, _ value: Double, _ range: ClosedRange<Double>) throws {
  guard range.contains(value) else {
    let upper = range.upperBound.isFinite ? " and at most \(range.upperBound)" : ""
    throw ValidationError("--\(name) must be at least \(range.lowerBound)\(upper).")
  }
}

/// Refuses a number that is too small or beyond all reason.
public func check(_ name: String, _ value: Int, atLeast lowest: Int) throws {
  guard value >= lowest, value <= 1 << 31 else {
    throw ValidationError("--\(name) must be at least \(lowest) and at most \(1 << 31).")
  }
}
