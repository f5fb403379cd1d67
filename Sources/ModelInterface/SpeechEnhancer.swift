/// What is done to recordings.
public enum EnhancementMode: String, Sendable, Hashable, CaseIterable {
  /// Noise is taken away; what was not recorded is not made up.
  case denoise
  /// Speech is generated anew from what is heard of it.
  case enhance
}

/// How the differential equation of a flow is solved.
public enum FlowSolver: String, Sendable, Hashable, CaseIterable {
  /// One evaluation a step.
  case euler
  /// Two evaluations a step.
  case midpoint
  /// Four evaluations a step.
  case rk4
}

/// How recordings are enhanced.
public struct EnhancementOptions: Sendable, Hashable {
  /// What is done; the rest is of ``EnhancementMode/enhance`` alone.
  public var mode = EnhancementMode.enhance
  /// The solver of the flow.
  public var solver = FlowSolver.midpoint
  /// Evaluations of the flow network.
  public var evaluations = 64
  /// How much of the condition is the denoised recording rather than the recording: 0 to 1.
  public var denoising: Float = 1
  /// How much of the start is noise rather than the recording: 0 to 1.
  public var temperature: Float = 0.5
  /// Seed of the noise. Each recording begins with it anew.
  public var seed: UInt64 = 0
  /// Whether mistakes of the package that the model comes from are made as it makes them.
  public var followsPackage = false

  /// The defaults of the model's own program.
  public init() {}
}

/// Makes recordings of speech better.
public protocol SpeechEnhancer: Sendable {
  /// Samples a second of what it takes and of what it gives.
  var sampleRate: Int { get }

  /// - Throws: `usage` for options that it cannot work with, `configuration` where its model lacks the part.
  func check(_ options: EnhancementOptions) throws

  /// Begins a recording.
  ///
  /// - Parameter onStep: called often while it computes, with the samples of the recording that are done so
  ///   far, parts of a chunk counted; what it throws ends the work.
  /// - Throws: as ``check(_:)``.
  func makeStream(
    _ options: EnhancementOptions, onStep: @escaping @Sendable (_ samples: Int) throws -> Void
  ) throws -> any EnhancementStream
}

/// A recording that arrives in pieces; how it is cut changes nothing. As many samples come out as went in,
/// some later: memory does not grow with the recording.
public protocol EnhancementStream {
  /// - Parameter samples: mono, nominally within ±1; finite.
  /// - Returns: the samples that are ready now.
  mutating func enhance(_ samples: [Float]) throws -> [Float]
  /// The remaining samples.
  mutating func finish() throws -> [Float]
}
