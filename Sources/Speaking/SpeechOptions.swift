public import ArgumentParser
public import ModelInterface
import ModelRegistry
public import Tensors

/// How speech is generated: options of every command that speaks.
public struct SpeechOptions: ParsableArguments, Sendable {
  /// How weights are held.
  @Option(
    help: ArgumentHelp(
      "How weights are held: f32, bf16 or int8; less is faster and less exact.", valueName: "name"))
  public var precision: WeightFormat = .float32
  /// Adapters in the weights.
  @Option(
    help: ArgumentHelp(
      """
      Speak with this adapter of tts-train --tune lora in the weights, multiplied by the number after \
      the colon; may be given several times.
      """, valueName: "file[:x]"), completion: .file())
  public var adapter: [ScaledPath] = []
  @Option(
    help: ArgumentHelp(
      "Variance of the noise; 0 is deterministic. Default: the model's.", valueName: "x"))
  var temperature: Float?
  @Option(help: ArgumentHelp("Steps of the flow decoder.", valueName: "n"))
  var decodeSteps = 1
  @Option(
    help: ArgumentHelp("Bound the noise to this magnitude. Default: unbounded.", valueName: "x"))
  var noiseClamp: Float?
  @Option(
    // The usual values begin with a minus sign.
    parsing: .unconditional,
    help: ArgumentHelp(
      "Logit above which speech is taken to end. Default: the model's.", valueName: "x"))
  var eosThreshold: Float?
  @Option(
    help: ArgumentHelp("Frames after the end of speech. Default: the model's rule.", valueName: "n")
  )
  var framesAfterEos: Int?
  @Option(
    help: ArgumentHelp(
      "Frames at most for a piece of text. Default: by its length.", valueName: "n"))
  var maxFrames: Int?
  /// Tokens at most in a piece of text.
  @Option(
    help: ArgumentHelp("Tokens at most in a piece of text, from 1 to 1000.", valueName: "n"))
  public var maxTokens = 50

  /// The official defaults.
  public init() {}

  /// Checks what the parser cannot.
  public func validate() throws {
    guard (1...1000).contains(decodeSteps) else {
      throw ValidationError("--decode-steps must be between 1 and 1000.")
    }
    guard (1...1000).contains(maxTokens) else {
      throw ValidationError("--max-tokens must be between 1 and 1000.")
    }
    if let maxFrames, maxFrames < 1 { throw ValidationError("--max-frames must be at least 1.") }
    if let framesAfterEos, framesAfterEos < 0 {
      throw ValidationError("--frames-after-eos must not be negative.")
    }
    if let temperature, !(temperature >= 0 && temperature.isFinite) {
      throw ValidationError("--temperature must be 0 or more.")
    }
    if let noiseClamp, !(noiseClamp > 0) {
      throw ValidationError("--noise-clamp must be above 0.")
    }
    if let eosThreshold, eosThreshold.isNaN {
      throw ValidationError("--eos-threshold must be a number.")
    }
  }

  /// The options of a generation.
  public func generation(seed: UInt64) -> GenerationOptions {
    GenerationOptions(
      temperature: temperature, decodeSteps: decodeSteps, noiseClamp: noiseClamp,
      endOfSpeechThreshold: eosThreshold, framesAfterEnd: framesAfterEos, maxFrames: maxFrames,
      maxTokens: maxTokens, seed: seed)
  }

  /// What can change the speech, by the names of the options: for a stage's parameters.
  public var parameters: [String: String] {
    func value<Number: CustomStringConvertible>(_ number: Number?) -> String {
      number.map { "\($0)" } ?? "default"
    }
    return [
      "temperature": value(temperature), "decode-steps": "\(decodeSteps)",
      "noise-clamp": value(noiseClamp), "eos-threshold": value(eosThreshold),
      "frames-after-eos": value(framesAfterEos), "max-frames": value(maxFrames),
      "max-tokens": "\(maxTokens)", "precision": precision.rawValue,
    ]
  }

  /// Whether the end of speech is left to the model, so that its absence is worth a warning.
  public var expectsEnd: Bool { maxFrames == nil && (eosThreshold ?? 0) < 1e6 }
}

extension SpeechOptions {
  /// The model of this name, with the adapters in it.
  public func model(_ name: String) throws -> any SpeechModel {
    try ModelRegistry.speechModel(name).adapted(adapter)
  }
}

extension WeightFormat: ExpressibleByArgument {}

extension ScaledPath: ExpressibleByArgument {
  /// Reads `FILE` or `FILE:SCALE`.
  public init?(argument: String) { self.init(argument) }
}
