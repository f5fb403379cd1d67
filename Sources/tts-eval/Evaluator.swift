import Audio
import Base
import Filters
import ModelInterface
import Speaking
import Tensors
import Text

/// Speaks sentences and measures what comes of them. Several threads may do so at a time.
struct Evaluator: Sendable {
  let model: any SpeechModel
  let synthesizer: any Synthesizer
  let voices: Voices
  let standardVoice: any Voice
  let references: References
  let listeners: Listeners
  let options: GenerationOptions
  /// Speech below this level, in dB of full scale, is silent.
  let silence: Double
  /// Thresholds for the end of speech that are compared; empty when none are.
  let thresholds: [Float]
  private let spectralDistance: SpectralDistance

  /// Loads the model and the voice of those sentences that name none.
  init(_ tool: Eval, _ run: ToolRun) throws {
    model = try tool.speech.model(tool.model)
    let single = try model.synthesizer(precision: tool.speech.precision)
    synthesizer = tool.batch == 1 ? single : single.inBatches()
    voices = Voices(model: model, synthesizer: synthesizer)
    standardVoice = try tool.voice.map(voices.voice) ?? synthesizer.defaultVoice()
    references = References(
      model: model, precision: tool.speech.precision, synthesizer: synthesizer, run: run)
    listeners = try Listeners(
      tool.listeners, folder: tool.results.keep, model: model, voice: tool.voice,
      rate: synthesizer.sampleRate, run: run)
    options = tool.speech.generation(seed: tool.seed.seed)
    silence = tool.silence
    thresholds = tool.ends.calibrate ? tool.ends.thresholds.values : []
    spectralDistance = try SpectralDistance(rate: synthesizer.sampleRate)
  }

  /// Speaks a sentence and measures it.
  ///
  /// - Throws: `badInput`, naming it, when it cannot be spoken or its reference is damaged; `interrupted`.
  func evaluate(_ sentence: Sentence) throws -> SentenceResult {
    do {
      return try measure(sentence)
    } catch var failure as Failure where failure.kind == .badInput {
      failure.record = failure.record ?? sentence.id
      throw failure
    }
  }

  private func measure(_ sentence: Sentence) throws -> SentenceResult {
    let utterance = sentence.utterance
    if let failure = utterance.failure { throw failure }
    let words = try Self.words(of: sentence.text)
    var options = options
    options.seed = try utterance.seed() ?? options.seed
    let voice = try voices.voice(of: utterance, otherwise: standardVoice)
    let speech = try speak(sentence, voice, options)
    let reference = try ThreadBudget.inTurn { try references.reference(of: sentence) }

    var result = SentenceResult(id: sentence.id, text: sentence.text)
    result.summary = speech.summary
    result.seconds = Double(speech.samples.count) / Double(synthesizer.sampleRate)
    result.characters = words.count
    result.referenceSeconds = reference?.seconds
    ThreadBudget.inTurn {
      result.level = rootMeanSquareLevel(speech.samples)
      if let recording = reference?.samples {
        result.spectralDistance = spectralDistance.distance(speech.samples, from: recording)
      }
      if let latents = reference?.latents {
        result.latentDistance = DynamicTimeWarping.distance(
          speech.latents.values, latents.values, width: latents.columns)
      }
    }
    result.isSilent =
      speech.summary.frames < SentenceResult.fewestFrames
      || (result.level ?? -.infinity) < silence
    if !thresholds.isEmpty {
      result.endings = try endings(sentence, voice, options, besides: result)
    }
    try listeners.listen(
      to: speech.samples, of: sentence, words: words, reference: reference, into: &result)
    return result
  }

  private struct Speech {
    var samples: [Float] = []
    /// Normalised.
    var latents: Tensor
    var traces: [PieceTrace] = []
    var summary = GenerationSummary()
  }

  private func speak(
    _ sentence: Sentence, _ voice: any Voice, _ options: GenerationOptions
  ) throws -> Speech {
    var (samples, traces): ([Float], [PieceTrace]) = ([], [])
    let summary = try synthesizer.narrate(
      sentence.text, voice: voice, options: options, name: sentence.id,
      onPiece: { traces.append($0) },
      onAudio: {
        try Interruption.check()
        samples += $0
      })
    return Speech(
      samples: samples, latents: concatenateRows(traces.map(\.latents)), traces: traces,
      summary: summary)
  }

  /// What the sentence would be with each threshold, from speech that goes on to its limit.
  private func endings(
    _ sentence: Sentence, _ voice: any Voice, _ options: GenerationOptions,
    besides result: SentenceResult
  ) throws -> [Ending] {
    var options = options
    options.endOfSpeechThreshold = .infinity
    let traces = try speak(sentence, voice, options).traces
    return thresholds.map { threshold in
      let lengths = traces.map { $0.length(threshold: threshold) }
      let frames = lengths.reduce(0) { $0 + $1.frames }
      // Pauses are the same with any threshold.
      let seconds =
        result.seconds + Double(frames - result.summary.frames) / synthesizer.frameRate
      return Ending(
        frames: frames, seconds: seconds, ended: lengths.allSatisfy(\.ended),
        durationRatio: result.referenceSeconds.map { seconds / $0 })
    }
  }

  /// The text without its pauses.
  private static func words(of text: String) throws -> String {
    var marks = PauseMarks()
    var rest: String? = text
    var stretches: [String] = []
    while let item = try marks.next({ rest.take() }) {
      if case .words(let words) = item { stretches.append(words.trimmingWhitespace) }
    }
    return stretches.joined(separator: " ")
  }
}
