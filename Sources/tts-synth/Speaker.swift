import Base
import Filters
import ModelInterface
import Records
import Speaking

/// Says utterances, each into a sink.
struct Speaker: Sendable {
  /// Bytes of text that fit into a record.
  private static let longestText = 8 << 20

  private let speech: SpeechOptions
  private let seed: UInt64
  /// A record is written with all of its text before its first sample.
  private let needsWholeText: Bool
  private let synthesizer: any Synthesizer
  private let voices: Voices
  private let defaultVoice: any Voice
  private let run: ToolRun

  /// Loads the model and the voice of those utterances that name none.
  init(_ tool: Synth, model: any SpeechModel, _ run: ToolRun) throws {
    speech = tool.speech
    seed = tool.seed.seed
    needsWholeText = tool.format == .ttsr
    self.run = run
    let single = try model.synthesizer(precision: tool.speech.precision)
    let synthesizer = tool.batch == 1 ? single : single.inBatches()
    let voices = Voices(model: model, synthesizer: synthesizer)
    defaultVoice = try tool.voice.map { try voices.voice($0) } ?? synthesizer.defaultVoice()
    self.synthesizer = synthesizer
    self.voices = voices
  }

  /// The rate of all speech.
  var sampleRate: Int { synthesizer.sampleRate }

  /// Says an utterance. Several threads may do so at a time.
  ///
  /// - Parameter nextText: gives the text that follows that of its record, piece by piece.
  /// - Throws: `badInput` when it cannot be said, naming it.
  func say(
    _ utterance: Utterance, _ nextText: () throws -> String?, into sink: some UtteranceSink
  ) throws {
    do {
      try speak(utterance, nextText, into: sink)
    } catch var failure as Failure where failure.kind == .badInput {
      failure.record = failure.record ?? utterance.record.id
      throw failure
    }
  }

  private func speak(
    _ utterance: Utterance, _ nextText: () throws -> String?, into sink: some UtteranceSink
  ) throws {
    if let failure = utterance.failure { throw failure }
    var record = utterance.record
    guard let text = record.text, !text.isEmpty else { throw Failure.noText() }
    let options = speech.generation(seed: try utterance.seed() ?? seed)
    let voice = try voices.voice(of: utterance, otherwise: defaultVoice)
    if needsWholeText { record.text = try Self.whole(text, nextText) }
    var first = record.text
    try sink.open(record)
    var samples = 0
    let start = run.seconds
    func seconds() -> Double { Double(samples) / Double(sampleRate) }
    let summary = try synthesizer.narrate(
      {
        guard let text = first else { return needsWholeText ? nil : try nextText() }
        first = nil
        return text
      }, voice: voice, options: options, name: record.id
    ) {
      try run.checkInterrupted()
      samples += $0.count
      try sink.write($0)
      run.progress("\(record.id): \(tenths(seconds())) s of speech")
    }
    try sink.close()
    run.count("utterances")
    run.count("frames", summary.frames)
    run.detail(
      "\(record.id): \(tenths(seconds())) s of speech, "
        + "\(tenths(seconds() / max(1e-9, run.seconds - start))) times real time")
    warn(of: summary, record.id)
  }

  /// All of a text.
  ///
  /// - Throws: `badInput` when it is very long.
  static func whole(_ first: String, _ nextText: () throws -> String?) throws -> String {
    var text = first
    while let more = try nextText() {
      text += more
      guard text.utf8.count <= longestText else {
        throw Failure.textTooLong(limit: longestText)
      }
    }
    while text.last == "\n" { text.removeLast() }
    return text
  }

  private func warn(of summary: GenerationSummary, _ id: String) {
    if summary.endlessPieces > 0, speech.expectsEnd {
      run.warn(
        "record '\(id)': speech did not end by itself in \(summary.endlessPieces) of "
          + "\(summary.pieces) pieces; lower --eos-threshold or check the text")
    }
    if summary.oversizedPieces > 0 {
      run.warn(
        "record '\(id)': \(summary.oversizedPieces) of \(summary.pieces) pieces have more than "
          + "\(speech.maxTokens) tokens, where words may be skipped; give the text commas and "
          + "periods")
    }
  }

  private func tenths(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
}
