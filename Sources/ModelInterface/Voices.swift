public import Audio
import Base

/// The voices that were loaded, by the names that users give them: the ones used last are kept.
public final class Voices: Sendable {
  private struct Shelf: Sendable {
    var voices: [(name: String, voice: any Voice)] = []
  }

  private let model: any SpeechModel
  private let synthesizer: any Synthesizer
  private let limit: Int
  private let shelf = Locked(Shelf())

  /// No voice loaded yet.
  ///
  /// - Parameter limit: how many are kept.
  public init(model: any SpeechModel, synthesizer: any Synthesizer, limit: Int = 16) {
    self.model = model
    self.synthesizer = synthesizer
    self.limit = limit
  }

  /// The voice of a name: a voice file (`.safetensors`), a voice that comes with the model, or a
  /// recording.
  ///
  /// - Throws: `noInput` when there is none; what loading it throws.
  public func voice(_ name: String) throws -> any Voice {
    if let known = take(name) { return known }
    let voice = try load(name)
    shelf.withLock { shelf in
      shelf.voices.append((name, voice))
      if shelf.voices.count > limit { shelf.voices.removeFirst() }
    }
    return voice
  }

  /// A voice that comes with the model, by its name alone.
  ///
  /// - Returns: nil when the model has none of this name.
  public func ownVoice(_ name: String) throws -> (any Voice)? {
    guard model.voiceNames.contains(name) else { return nil }
    return try voice(name)
  }

  private func take(_ name: String) -> (any Voice)? {
    shelf.withLock { shelf -> (any Voice)? in
      guard let index = shelf.voices.firstIndex(where: { $0.name == name }) else { return nil }
      let entry = shelf.voices.remove(at: index)
      shelf.voices.append(entry)
      return entry.voice
    }
  }

  private func load(_ name: String) throws -> any Voice {
    let path = try model.voicePath(name)
    do {
      return try synthesizer.voice(at: path)
    } catch let failure as Failure {
      throw failure.about(name)
    }
  }
}

extension Synthesizer {
  /// The voice of a file: a voice file (`.safetensors`), or a recording.
  public func voice(at path: String) throws -> any Voice {
    try path.hasSuffix(".safetensors") ? voice(file: path) : voice(of: AudioFile(path: path))
  }

  /// The voice of a recording of any rate and any number of channels.
  ///
  /// - Parameter seconds: only so much of it is listened to; nil for all.
  /// - Throws: `badInput` when it is longer than five minutes: every utterance attends to all of it;
  ///   when a sample is not a number.
  public func voice(of file: AudioFile, seconds: Double? = nil) throws -> any Voice {
    let limit = 300 * file.rate
    let wanted = seconds.map { min(limit, Int($0 * Double(file.rate))) }
    let channels = try file.read(maxFrames: wanted ?? limit + 1)
    guard channels.first?.count ?? 0 <= limit else {
      throw Failure(
        .badInput, problem: "the voice recording is longer than 5 minutes",
        remedy: "cut out half a minute of clear speech")
    }
    try checkFinite(channels, path: file.path, position: 0)
    var samples = mono(channels)
    if file.rate != sampleRate {
      var resampler = try ReferenceResampler(from: file.rate, to: sampleRate)
      samples = resampler.process(samples) + resampler.finish()
    }
    return try voice(of: samples)
  }
}
