public import Tensors

/// How speech is generated; nil stands for the model's own default.
public struct GenerationOptions: Sendable {
  /// Variance of the noise; 0 is deterministic.
  public var temperature: Float?
  /// Steps of the flow decoder.
  public var decodeSteps: Int
  /// Absolute bounds of the noise; nil for none.
  public var noiseClamp: Float?
  /// Logit above which the end of speech is near.
  public var endOfSpeechThreshold: Float?
  /// Frames after the end of speech; nil for the model's rule.
  public var framesAfterEnd: Int?
  /// Limit of frames for one piece of text; nil for the model's rule.
  public var maxFrames: Int?
  /// Tokens of one piece of text at most.
  public var maxTokens: Int
  /// Seed of the noise.
  public var seed: UInt64

  /// The official defaults.
  public init(
    temperature: Float? = nil, decodeSteps: Int = 1, noiseClamp: Float? = nil,
    endOfSpeechThreshold: Float? = nil, framesAfterEnd: Int? = nil, maxFrames: Int? = nil,
    maxTokens: Int = 50, seed: UInt64 = 0
  ) {
    self.temperature = temperature
    self.decodeSteps = decodeSteps
    self.noiseClamp = noiseClamp
    self.endOfSpeechThreshold = endOfSpeechThreshold
    self.framesAfterEnd = framesAfterEnd
    self.maxFrames = maxFrames
    self.maxTokens = maxTokens
    self.seed = seed
  }
}

/// What a generation came to.
public struct GenerationSummary: Sendable, Equatable {
  /// Latent frames made.
  public var frames = 0
  /// Pieces the text was cut into.
  public var pieces = 0
  /// Pieces that reached the limit of frames without an end of speech.
  public var endlessPieces = 0
  /// Pieces of more tokens than asked for, because the text has no mark to cut at; words may be
  /// skipped in them.
  public var oversizedPieces = 0

  /// Nothing generated.
  public init() {}

  /// The sum of two.
  public static func + (left: Self, right: Self) -> Self {
    var sum = left
    sum.frames += right.frames
    sum.pieces += right.pieces
    sum.endlessPieces += right.endlessPieces
    sum.oversizedPieces += right.oversizedPieces
    return sum
  }
}

/// A voice, ready to speak: bound to the weights that made it.
public protocol Voice: Sendable {
  /// Positions of the model that the voice takes.
  var positions: Int { get }
  /// Writes the voice in the model's own file format.
  func write(to path: String) throws
}

/// Text to speech.
public protocol Synthesizer: Sendable {
  /// Samples a second of what it says, and of what voices are made from.
  var sampleRate: Int { get }

  /// Latent frames a second.
  var frameRate: Double { get }

  /// Channels of the latents that its language model makes.
  var latentWidth: Int { get }

  /// Latents of the codec as the language model sees them: each channel has mean 0 and deviation 1 over
  /// the latents that it learnt from.
  ///
  /// - Parameter latents: `[frames, channels]`, raw.
  func normalized(_ latents: Tensor) -> Tensor

  /// The voice of a recording.
  ///
  /// - Parameter samples: mono, at ``sampleRate``.
  func voice(of samples: [Float]) throws -> any Voice

  /// The voice of a recording that was encoded before.
  ///
  /// - Parameter latents: of the model's codec, raw: `[frames, channels]`.
  /// - Throws: `configuration` for another number of channels.
  func voice(ofLatents latents: Tensor) throws -> any Voice

  /// A voice from a file that was made before.
  func voice(file: String) throws -> any Voice

  /// The voice when none is given.
  func defaultVoice() throws -> any Voice

  /// The same synthesizer for several threads that speak at a time: steps that read all weights are
  /// made for all of them together. What is said is the same; it arrives in larger pieces.
  func inBatches() -> any Synthesizer

  /// Says a text that arrives in pieces; the audio is handed over piece by piece as it is made.
  ///
  /// - Parameters:
  ///   - nextText: gives the next piece of the text, cut anywhere; nil when there is no more.
  ///   - name: what the noise is drawn for (a record's id): the same seed and name give the same
  ///     speech, wherever the text stands in a stream and however it is cut.
  ///   - onPiece: gets what each piece of the text was made of, after its audio; nil where nobody asks.
  /// - Throws: `badInput` when there is nothing to say; what the closures throw.
  func speak(
    _ nextText: () throws -> String?, voice: any Voice, options: GenerationOptions, name: String,
    onPiece: ((PieceTrace) throws -> Void)?, onAudio: ([Float]) throws -> Void
  ) throws -> GenerationSummary
}

extension Synthesizer {
  /// Says a text that arrives in pieces, of which only the audio matters.
  public func speak(
    _ nextText: () throws -> String?, voice: any Voice, options: GenerationOptions, name: String,
    onAudio: ([Float]) throws -> Void
  ) throws -> GenerationSummary {
    try speak(
      nextText, voice: voice, options: options, name: name, onPiece: nil, onAudio: onAudio)
  }
}
