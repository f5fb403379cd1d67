import Audio
import Base
import Glibc
import Mimi
import ModelInterface
import NeuralNetworks
import Tensors
import Text

/// Pocket TTS as a synthesizer.
struct Generator: Synthesizer {
  let flowLM: FlowLM
  let mimi: Mimi
  let tokenizer: any Tokenizer
  /// False when the file ships without the codec's encoder: then a recording cannot be a voice.
  let clonesVoices: Bool
  let path: String
  /// What speeches of several threads make their frames in.
  var batch: StepBatch?

  private var configuration: Configuration { flowLM.configuration }
  var sampleRate: Int { mimi.sampleRate }
  var frameRate: Double { mimi.frameRate }
  var latentWidth: Int { configuration.latentWidth }
  func normalized(_ latents: Tensor) -> Tensor { flowLM.normalize(latents) }
  private static let decodedTogether = 8

  // MARK: Voices

  func voice(of samples: [Float]) throws -> any Voice {
    guard clonesVoices else {
      throw Failure.configuration(
        path, "these weights have no voice encoder",
        "use the weights with voice cloning, or an exported voice")
    }
    guard !samples.isEmpty else {
      throw Failure(
        .badInput, problem: "the voice recording is empty", remedy: "give some seconds of speech")
    }
    return onOneThread { voice(latents: encodeVoice(endOnPause(samples))) }
  }

  func voice(ofLatents latents: Tensor) throws -> any Voice {
    guard latents.columns == configuration.voiceWidth else {
      throw Failure.configuration(
        path, "latents of \(latents.columns) channels, its voices have \(configuration.voiceWidth)",
        "encode the voices with the model's own codec")
    }
    return onOneThread { voice(latents: latents) }
  }

  /// The codec's latents of a prompt: `[frames, voice channels]`.
  func encodeVoice(_ samples: [Float]) -> Tensor {
    var encoder = mimi.makeEncoder()
    return concatenateRows([encoder.encode(samples), encoder.finish()])
  }

  func voice(latents: Tensor?) -> VoiceState {
    var state = transformer.initialState()
    let rows = [flowLM.bosBeforeVoice, latents.map { flowLM.embed(voice: $0) }].compactMap(\.self)
    if !rows.isEmpty {
      transformer.remember(concatenateRows(rows), state: &state)
    }
    return VoiceState(state: state)
  }

  func voice(file: String) throws -> any Voice {
    try VoiceState(path: file, backbone: configuration.backbone)
  }

  func defaultVoice() throws -> any Voice { voice(latents: nil) }

  private var transformer: Transformer { flowLM.transformer }

  // MARK: Speech

  func inBatches() -> any Synthesizer {
    var copy = self
    copy.batch = StepBatch(flowLM)
    return copy
  }

  /// Computes what is made for one speech alone: in a batch other threads do so at the same time.
  private func onOneThread<Result>(_ body: () throws -> Result) rethrows -> Result {
    batch == nil ? try body() : try ThreadBudget.inTurn(body)
  }

  func speak(
    _ nextText: () throws -> String?, voice: any Voice, options: GenerationOptions, name: String,
    onPiece: ((PieceTrace) throws -> Void)?, onAudio: ([Float]) throws -> Void
  ) throws -> GenerationSummary {
    guard let voice = voice as? VoiceState else {
      throw Failure(.internalFault, problem: "the voice belongs to another kind of model")
    }
    var summary = GenerationSummary()
    let rules = configuration.textOptions
    var pieces = try SentenceSplitter(
      tokenizer: tokenizer, options: rules, maxTokens: options.maxTokens)
    while let piece = try pieces.next(nextText) {
      let (prepared, guess) = try prepareText(piece.text, options: rules)
      let tokens = try tokenizer.encode(prepared)
      var noise = Noise(options, configuration, name: "\(name)/\(summary.pieces)")
      // In a batch nobody waits for the next frame: several at a time decode faster.
      var decoder = DecodingStage(
        mimi.makeDecoder(), largestBlock: batch == nil ? 1 : Self.decodedTogether)
      var position = 0
      func hand(_ ready: [Float]) throws {
        guard !ready.isEmpty else { return }
        var samples = ready
        Policy.fadeIn(&samples, from: position, sampleRate: sampleRate)
        position += samples.count
        summary.frames += samples.count / mimi.frameSize
        try onAudio(samples)
      }
      var end = endOfSpeechRule(options, frameGuess: guess)
      var latents: [Tensor] = []
      var logits: [Float] = []
      try generate(
        tokens, voice: voice, options: options, end: &end, noise: &noise,
        onLogit: { if onPiece != nil { logits.append($0) } }
      ) { latent in
        if onPiece != nil { latents.append(latent) }
        try hand(decoder.decode(flowLM.denormalize(latent)))
      }
      try hand(decoder.finish())
      summary.pieces += 1
      if piece.size > options.maxTokens { summary.oversizedPieces += 1 }
      if end.endFrame == nil { summary.endlessPieces += 1 }
      try onPiece?(
        PieceTrace(latents: concatenateRows(latents), endOfSpeechLogits: logits, rule: end))
    }
    return summary
  }

  /// When a piece of text ends.
  ///
  /// - Parameter frameGuess: of the frames after the end, from the number of words.
  func endOfSpeechRule(_ options: GenerationOptions, frameGuess: Int) -> EndOfSpeechRule {
    EndOfSpeechRule(
      threshold: options.endOfSpeechThreshold ?? Float(configuration.defaultEOSThreshold),
      framesAfterEnd: Policy.framesAfterEnd(
        requested: options.framesAfterEnd, recommended: configuration.recommendedFramesAfterEOS,
        guess: frameGuess), firstFrame: Policy.firstEndFrame)
  }

  /// Generates the latents of one piece of text.
  ///
  /// - Parameters:
  ///   - end: has noticed the end of speech afterwards, unless the limit of frames came first.
  ///   - onLogit: gets the logit of each frame for the end of speech, before the latent.
  ///   - onLatent: gets each latent `[1, channels]`, normalised.
  func generate(
    _ tokens: [Int32], voice: VoiceState, options: GenerationOptions, end: inout EndOfSpeechRule,
    noise: inout Noise, onLogit: (Float) -> Void, onLatent: (Tensor) throws -> Void
  ) throws {
    var state = voice.state
    if !tokens.isEmpty {
      onOneThread { transformer.remember(flowLM.embed(tokens: tokens), state: &state) }
    }
    let limit =
      options.maxFrames
      ?? Policy.frameLimit(tokens: tokens.count, frameRate: mimi.frameRate)
    let speech = SpeechState(
      state, times: flowLM.head.stepTimes(options.decodeSteps),
      first: flowLM.bos.reshaped([1, configuration.latentWidth]))
    try CurrentSpeechBatch.take(partIn: batch) {
      for frame in 0..<limit {
        speech.advance(flowLM, noise: noise.next(), batch: batch)
        onLogit(speech.endOfSpeechLogit)
        if end.stops(atFrame: frame, logit: speech.endOfSpeechLogit) { return }
        try onLatent(speech.latent)
      }
    }
  }
}

/// The noise of one piece of text: normal with variance `temperature`, or that law cut at absolute
/// bounds.
struct Noise {
  private var random: RandomNumbers
  private let deviation: Float
  private let clamp: Float?
  private let channels: Int

  init(_ options: GenerationOptions, _ configuration: Configuration, name: String) {
    random = RandomNumbers(seed: options.seed, name: name)
    deviation = (options.temperature ?? Float(configuration.defaultTemperature)).squareRoot()
    clamp = options.noiseClamp
    channels = configuration.latentWidth
  }

  /// The noise of the next frame: `[1, channels]`.
  mutating func next() -> Tensor {
    guard deviation > 0 else { return .zeros([1, channels]) }
    let values = (0..<channels).map { _ -> Float in
      guard let clamp else { return random.normal() * deviation }
      while true {
        let value = random.normal() * deviation
        if abs(value) <= clamp { return value }
        // Into a narrow interval few normal draws fall: there draw flat and thin out.
        if clamp < deviation / 4 {
          let flat = (2 * random.uniform() - 1) * clamp
          if random.uniform() < expf(-flat * flat / (2 * deviation * deviation)) { return flat }
        }
      }
    }
    return Tensor(values, shape: [1, channels])
  }
}
