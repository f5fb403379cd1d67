import ArgumentParser
import SpeechTraining
import Training
import TrainingTools

/// How the weights move.
struct OptimizerOptions: ParsableArguments {
  /// What moves matrices.
  enum Kind: String, ExpressibleByArgument, CaseIterable {
    case adamw, muon
  }

  @Option(
    help: ArgumentHelp(
      "adamw, or muon on the backbone's matrices and AdamW on the rest.", valueName: "name"))
  var optimizer = Kind.adamw

  @Option(
    help: ArgumentHelp(
      "The highest learning rate; 2e-5 suits fine-tuning in the model's language.", valueName: "x"))
  var lr = TrainingOptions().rate.highest

  @Option(help: ArgumentHelp("Steps until the highest rate is reached.", valueName: "n"))
  var warmup = TrainingOptions().rate.warmup

  @Option(
    help: ArgumentHelp(
      "The learning rate after the warm-up: constant, cosine or linear.", valueName: "shape"))
  var schedule = TrainingOptions().rate.shape

  @Option(
    help: ArgumentHelp(
      "Share of the highest rate that the cosine or the line ends at.", valueName: "x"))
  var lrMinRatio = TrainingOptions().rate.lowestShare

  @Option(help: ArgumentHelp("Weight decay; the text table has none.", valueName: "x"))
  var weightDecay = TrainingOptions().optimizer.adamW.weightDecay

  @Option(help: ArgumentHelp("Norm that gradients are clipped to; 0: none.", valueName: "x"))
  var clip = TrainingOptions().clip

  @Option(help: ArgumentHelp("How much of AdamW's first moment is kept.", valueName: "x"))
  var beta1 = TrainingOptions().optimizer.adamW.firstDecay

  @Option(help: ArgumentHelp("How much of AdamW's second moment is kept.", valueName: "x"))
  var beta2 = TrainingOptions().optimizer.adamW.secondDecay

  @Option(
    help: ArgumentHelp("Added to the root of AdamW's second moment.", valueName: "x"))
  var epsilon = TrainingOptions().optimizer.adamW.epsilon

  @Option(
    help: ArgumentHelp("Muon's step where the learning rate is highest.", valueName: "x"))
  var muonLr = Muon.Settings().rate

  @Option(help: ArgumentHelp("How much of Muon's momentum is kept.", valueName: "x"))
  var muonMomentum = Muon.Settings().momentum

  @Option(
    help: ArgumentHelp("Steps of the iteration that makes Muon's steps orthogonal.", valueName: "n")
  )
  var muonPolarSteps = Muon.Settings().polarSteps

  @Flag(help: "Muon on the flow head's matrices too.")
  var muonHead = false

  @Flag(help: "Make Muon's steps as large as AdamW's would be; its step is then --lr.")
  var muonRmsMatch = false

  func validate() throws {
    for (name, value) in [("beta1", beta1), ("beta2", beta2), ("muon-momentum", muonMomentum)] {
      try check(name, value, 0...1)
      guard value < 1 else { throw ValidationError("--\(name) must be below 1.") }
    }
    try check("epsilon", epsilon, 0...1)
    try check("muon-lr", muonLr, 0...1000)
    try check("muon-polar-steps", muonPolarSteps, atLeast: 1)
    guard muonPolarSteps <= 100 else {
      throw ValidationError("--muon-polar-steps must be at most 100.")
    }
    guard optimizer == .muon || !muonHead && !muonRmsMatch else {
      throw ValidationError("--muon-head and --muon-rms-match need --optimizer muon.")
    }
    guard optimizer == .adamw || lr > 0 else {
      throw ValidationError("--optimizer muon needs an --lr above 0.")
    }
    try check("lr", lr, 0...1000)
    try check("warmup", warmup, atLeast: 0)
    try check("lr-min-ratio", lrMinRatio, 0...1)
    try check("weight-decay", weightDecay, 0...1000)
    try check("clip", clip, 0...(.greatestFiniteMagnitude))
  }

  func set(_ options: inout TrainingOptions) {
    options.rate = LearningRate(
      highest: lr, warmup: warmup, shape: schedule, lowestShare: lrMinRatio)
    options.optimizer.adamW.weightDecay = weightDecay
    options.optimizer.adamW.firstDecay = beta1
    options.optimizer.adamW.secondDecay = beta2
    options.optimizer.adamW.epsilon = epsilon
    if optimizer == .muon {
      var muon = Muon.Settings()
      muon.rate = muonLr
      muon.momentum = muonMomentum
      muon.polarSteps = muonPolarSteps
      muon.matchesAdamW = muonRmsMatch
      options.optimizer.muon = muon
    }
    options.muonIncludesHead = muonHead
    options.clip = clip
  }
}
