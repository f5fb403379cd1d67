public import ArgumentParser
import Filters
public import ModelInterface
import ModelRegistry
public import Tensors

/// What is done to recordings, and by which model.
struct EnhancementSettings: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The model: a directory of tts-model convert, or of tts-model init.", valueName: "dir"),
    completion: .directory)
  var model: String
  @Option(
    help: ArgumentHelp("denoise, or enhance, which generates speech anew.", valueName: "name"))
  var mode: EnhancementMode = .enhance
  @Option(
    help: ArgumentHelp(
      "How the flow is solved: midpoint (two evaluations a step), rk4 (four) or euler (one).",
      valueName: "name"))
  var solver: FlowSolver = .midpoint
  @Option(
    help: ArgumentHelp(
      "Evaluations of the flow network, 1 to 128: fewer are faster and worse.", valueName: "n"))
  var nfe = 64
  @Option(
    help: ArgumentHelp(
      "How much of the noise is taken away before speech is generated, 0 to 1.", valueName: "x"))
  var lambd: Float = 1
  @Option(
    help: ArgumentHelp(
      "How much of the start is noise rather than the recording, 0 to 1.", valueName: "x"))
  var tau: Float = 0.5
  @OptionGroup var seed: SeedOption
  @Option(
    help: ArgumentHelp(
      "How weights are held: f32, or bf16, which is faster and less exact.", valueName: "name"))
  var precision: WeightFormat = .float32
  @Flag(
    help: """
      Make the mistakes of the package that the model comes from, where chunks meet for instance: to compare \
      with it.
      """)
  var likePackage = false

  func validate() throws {
    guard (1...128).contains(nfe) else { throw ValidationError("--nfe must be between 1 and 128.") }
    // The package then makes no step at all and gives out what it began with.
    guard solver != .rk4 || ![2, 3].contains(nfe) else {
      throw ValidationError("--solver rk4 takes four evaluations a step: --nfe must be 4 or more.")
    }
    guard (0...1).contains(lambd) else { throw ValidationError("--lambd must be between 0 and 1.") }
    guard (0...1).contains(tau) else { throw ValidationError("--tau must be between 0 and 1.") }
    guard precision != .int8 else { throw ValidationError("--precision must be f32 or bf16.") }
  }

  /// For the enhancer.
  var options: EnhancementOptions {
    var options = EnhancementOptions()
    options.mode = mode
    options.solver = solver
    options.evaluations = nfe
    options.denoising = lambd
    options.temperature = tau
    options.seed = seed.seed
    options.followsPackage = likePackage
    return options
  }

  /// For the stage of a stream: what is of no account is not there.
  var parameters: [String: String] {
    var parameters = [
      "mode": mode.rawValue, "precision": precision.rawValue, "like-package": "\(likePackage)",
    ]
    guard mode == .enhance else { return parameters }
    parameters["solver"] = solver.rawValue
    parameters["nfe"] = "\(nfe)"
    parameters["lambd"] = "\(lambd)"
    parameters["tau"] = "\(tau)"
    parameters["seed"] = "\(seed.seed)"
    return parameters
  }

  /// Loads the model, and checks that it can do what is asked.
  func enhancer() throws -> any SpeechEnhancer {
    let enhancer = try ModelRegistry.enhancementModel(model).enhancer(precision: precision)
    try enhancer.check(options)
    return enhancer
  }
}

extension EnhancementMode: ExpressibleByArgument {}
extension FlowSolver: ExpressibleByArgument {}
extension WeightFormat: ExpressibleByArgument {}
