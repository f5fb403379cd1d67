import Base
import ModelInterface
import Tensors
import Training

/// What a run says aloud while it goes on, so that its progress can be heard.
public struct SampleRequest: Sendable, Hashable {
  /// A voice, by the name that its files get.
  public struct Voice: Sendable, Hashable {
    /// Part of the files' names.
    public var name: String
    /// A voice file, or a recording.
    public var path: String

    /// A voice.
    public init(name: String, path: String) {
      self.name = name
      self.path = path
    }
  }

  /// A sample each.
  public var texts = [
    "The kettle was still warm when we came home.",
    "Why would anyone paint a lighthouse green, she wondered, and laughed.",
    "Take the second road on the left, then follow the river for about three miles.",
  ]
  /// Each text is said in each of them; none: in the model's random voice.
  public var voices: [Voice] = []

  /// Three sentences in a random voice.
  public init() {}
}

/// Says the texts of a request: `1-VOICE` is the first text. It is what `tts-synth --text` says with the model
/// of that step.
extension SampleRequest {
  /// The longest sample.
  private static let secondsLimit = 30

  /// Sees to it that all voices can be had.
  ///
  /// - Throws: what is wrong with one.
  func check(_ synthesizer: () throws -> any Synthesizer) throws {
    guard !voices.isEmpty else { return }
    let synthesizer = try synthesizer()
    for voice in voices { _ = try load(voice, synthesizer) }
  }

  /// Says the texts.
  func say(with synthesizer: any Synthesizer, into samples: SampleCollection) throws {
    let loaded: [(name: String?, voice: any ModelInterface.Voice)] =
      voices.isEmpty
      ? [(nil, try synthesizer.defaultVoice())]
      : try voices.map { ($0.name, try load($0, synthesizer)) }
    for (number, text) in texts.enumerated() {
      for (name, voice) in loaded {
        try samples.add("\(number + 1)" + (name.map { "-" + $0 } ?? "")) {
          let (speech, ended) = try say(text, voice, synthesizer, samples)
          let seconds = Double(speech.count) / Double(synthesizer.sampleRate)
          return Sound(
            samples: speech, rate: synthesizer.sampleRate,
            facts: [
              "text": .string(text), "voice": name.map(JSON.string) ?? .null,
              "ended": .bool(ended),
            ],
            remark: ended
              ? nil : "the speech did not end by itself; cut at \(rounded(seconds)) s")
        }
      }
    }
  }

  private func load(
    _ voice: Voice, _ synthesizer: any Synthesizer
  ) throws -> any ModelInterface.Voice {
    do {
      return try synthesizer.voice(at: voice.path)
    } catch let failure as Failure {
      throw failure.about(voice.path)
    }
  }

  private struct TooLong: Error {}

  /// - Returns: the speech, and whether it ended by itself.
  private func say(
    _ text: String, _ voice: any ModelInterface.Voice, _ synthesizer: any Synthesizer,
    _ collection: SampleCollection
  ) throws -> (samples: [Float], ended: Bool) {
    var samples: [Float] = []
    let limit = Self.secondsLimit * synthesizer.sampleRate
    do {
      let summary = try synthesizer.narrate(
        text, voice: voice, options: GenerationOptions(), name: "text"
      ) {
        try collection.checkInterrupted()
        samples += $0
        if samples.count >= limit { throw TooLong() }
      }
      return (samples, summary.endlessPieces == 0)
    } catch is TooLong {
      return (Array(samples.prefix(limit)), false)
    }
  }
}
