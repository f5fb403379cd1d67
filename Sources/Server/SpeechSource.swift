import Audio
import Base
public import ModelInterface

/// A model and its voices: makes the bytes of answers. Used from several threads at a time.
public struct SpeechSource: Sendable {
  private let synthesizer: any Synthesizer
  private let voices: Voices
  private let standard: any Voice
  private let named: [String: any Voice]
  private let options: GenerationOptions
  /// The names that requests may give.
  let names: [String]

  /// The most of an uploaded recording that is listened to, in seconds.
  private static let voiceSeconds = 30.0

  /// A source of speech.
  ///
  /// - Parameters:
  ///   - voices: loads the voices that come with the model.
  ///   - standard: the voice of requests that name none.
  ///   - named: more voices by name.
  ///   - options: how speech is generated; the seed holds for requests that give none.
  public init(
    model: any SpeechModel, synthesizer: any Synthesizer, voices: Voices, standard: any Voice,
    named: [String: any Voice], options: GenerationOptions
  ) {
    self.synthesizer = synthesizer
    self.voices = voices
    self.standard = standard
    self.named = named
    self.options = options
    names = Set(named.keys).union(model.voiceNames).sorted()
  }

  /// Samples a second.
  var sampleRate: Int { synthesizer.sampleRate }

  /// Makes the bytes of an answer.
  ///
  /// - Parameter onBytes: gets them piece by piece, with the number of samples in each.
  func speak(_ request: SpeechRequest, onBytes: ([UInt8], Int) throws -> Void) throws {
    let voice = try voice(request.voice)
    var options = options
    options.seed = request.seed ?? options.seed
    var header = request.format == .wav ? WAVWriter.header(rate: sampleRate) : []
    func hand(_ samples: [Float]) throws {
      let bytes = int16TowardZero(samples).withUnsafeBytes { Array($0) }
      try onBytes(header + bytes, samples.count)
      header = []
    }
    // The name is the one that the command line gives to its text: so is the speech.
    _ = try synthesizer.narrate(
      request.text, voice: voice, options: options, name: "text", onAudio: hand)
    if request.closingSilence > 0, header.isEmpty {
      try hand([Float](repeating: 0, count: Int(request.closingSilence * Double(sampleRate))))
    }
  }

  private func voice(_ wanted: SpeechRequest.Voice) throws -> any Voice {
    switch wanted {
    case .standard: return standard
    case .named(let name):
      if let voice = try named[name] ?? voices.ownVoice(name) { return voice }
      throw Failure.noSuchVoice(name, names)
    case .recording(let bytes):
      let file = try AudioFile(bytes: bytes, name: "voice_wav")
      // A few megabytes of silence can be packed into very little.
      guard file.channels <= 2, file.rate <= 192_000 else { throw Failure.unusualRecording() }
      return try synthesizer.voice(of: file, seconds: Self.voiceSeconds)
    }
  }
}
