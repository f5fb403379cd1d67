import Audio
import Base
import Foundation
import Glibc
import ModelInterface
import Tensors

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

  /// Steps between samples; 0 for none.
  public var every = 0
  /// A sample each.
  public var texts = [
    "The kettle was still warm when we came home.",
    "Why would anyone paint a lighthouse green, she wondered, and laughed.",
    "Take the second road on the left, then follow the river for about three miles.",
  ]
  /// Each text is said in each of them; none: in the model's random voice.
  public var voices: [Voice] = []

  /// No samples.
  public init() {}
}

/// Says the texts of a request with the weights that a run hands out, and writes what was said to
/// `samples/step00001000-1-VOICE.wav`. It is what `tts-synth --text` says with the model of that step.
struct SampleWriter {
  let request: SampleRequest
  let trainable: any Trainable
  /// The parameters that do not train.
  let constants: [String: Tensor]
  /// Of the run.
  let directory: String
  let observer: TrainingObserver

  /// The longest sample.
  private static let secondsLimit = 30

  private var folder: String { directory + "/samples" }

  /// What ends a sample early.
  private enum Cut: Error { case tooLong, interrupted }

  /// Whether a step has samples that are not made yet.
  func isDue(_ step: Int, isLast: Bool, _ log: ProgressLog) -> Bool {
    request.every > 0 && (step % request.every == 0 || isLast) && !log.has("samples", step)
  }

  /// Sees to it that all voices can be had.
  ///
  /// - Throws: what is wrong with one.
  func check() throws {
    guard request.every > 0, !request.voices.isEmpty else { return }
    try withSynthesizer(trainable.parameters, trainable.buffers) { synthesizer in
      for voice in request.voices { _ = try load(voice, synthesizer) }
    }
  }

  /// Removes samples of later steps than a run goes on from.
  func removeLater(than last: Int) {
    removeLeftovers(in: folder)
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    for name in names where Self.step(of: name).map({ $0 > last }) == true {
      unlink(folder + "/" + name)
    }
  }

  /// The step in a sample's name; nil for other files.
  private static func step(of name: String) -> Int? {
    guard name.hasPrefix("step"), name.hasSuffix(".wav") else { return nil }
    let digits = name.dropFirst(4).prefix { $0.isASCII && $0.isNumber }
    return digits.count >= 8 && name.dropFirst(4 + digits.count).first == "-" ? Int(digits) : nil
  }

  /// Writes the samples of a step; what goes wrong with one is a warning.
  ///
  /// - Returns: false when a signal ended it before all were made.
  func write(_ state: TrainingState, _ log: ProgressLog) throws -> Bool {
    var made: [Sample] = []
    do {
      try createDirectory(folder)
      let parameters = constants.merging(state.weights.dictionary) { $1 }
      try withSynthesizer(parameters, state.buffers) { synthesizer in
        let voices: [(name: String?, voice: any Voice)] =
          request.voices.isEmpty
          ? [(nil, try synthesizer.defaultVoice())]
          : try request.voices.map { ($0.name, try load($0, synthesizer)) }
        for (number, text) in request.texts.enumerated() {
          for (name, voice) in voices {
            var sample = Sample(
              step: state.step, number: number + 1, text: text, voice: name,
              rate: synthesizer.sampleRate)
            do {
              try write(&sample, voice, synthesizer)
              made.append(sample)
            } catch let failure as Failure {
              observer.warn("\(sample.file): \(failure)")
            }
          }
        }
      }
    } catch Cut.interrupted {
      return false
    } catch let failure as Failure {
      observer.warn("no samples of step \(state.step): \(failure)")
    }
    // Only now, so that none stands there twice when a signal ended it before.
    try log.write("samples", step: state.step, ["samples": .array(made.map(\.json))])
    do {
      for sample in made {
        try log.add(
          "samples/" + sample.name, wav: readFile(folder + "/" + sample.file), rate: sample.rate,
          samples: sample.count, step: state.step)
      }
    } catch let failure as Failure {
      observer.warn("\(failure)")
    }
    return true
  }

  /// Lends a synthesizer; its memory goes back to the system, since no step of the training can use it.
  private func withSynthesizer(
    _ parameters: [String: Tensor], _ buffers: [String: Tensor],
    _ body: (any Synthesizer) throws -> Void
  ) throws {
    let kept = TensorMemory.kept
    TensorMemory.kept = 0
    defer { TensorMemory.kept = kept }
    try body(trainable.synthesizer(parameters: parameters, buffers: buffers))
  }

  private func load(
    _ voice: SampleRequest.Voice, _ synthesizer: any Synthesizer
  ) throws -> any Voice {
    do {
      return try synthesizer.voice(at: voice.path)
    } catch let failure as Failure {
      throw failure.about(voice.path)
    }
  }

  // MARK: One sample

  private struct Sample {
    let step: Int
    /// Of the text, from 1.
    let number: Int
    let text: String
    let voice: String?
    let rate: Int
    /// Samples of sound.
    var count = 0
    /// Whether the speech ended by itself.
    var ended = false

    /// The text and the voice.
    var name: String { "\(number)" + (voice.map { "-" + $0 } ?? "") }
    /// The file's name.
    var file: String { "step\(padded(step, to: 8))-\(name).wav" }
    var seconds: Double { Double(count) / Double(rate) }
    /// What the log tells of it.
    var json: JSON {
      [
        "file": .string(file), "text": .string(text), "voice": voice.map(JSON.string) ?? .null,
        "seconds": .number(seconds), "ended": .bool(ended),
      ]
    }
  }

  private func write(
    _ sample: inout Sample, _ voice: any Voice, _ synthesizer: any Synthesizer
  ) throws {
    observer.progress("step \(sample.step): sample \(sample.name)")
    let (samples, ended) = try say(sample.text, voice, synthesizer)
    (sample.count, sample.ended) = (samples.count, ended)
    let wav =
      WAVWriter.header(rate: sample.rate, frames: samples.count)
      + int16TowardZero(samples).withUnsafeBytes { Array($0) }
    try AtomicFile.write(wav, to: folder + "/" + sample.file)
    if !ended {
      observer.say(
        "\(sample.file): the speech did not end by itself; cut at \(rounded(sample.seconds)) s")
    }
  }

  /// - Returns: the speech, and whether it ended by itself.
  private func say(
    _ text: String, _ voice: any Voice, _ synthesizer: any Synthesizer
  ) throws -> (samples: [Float], ended: Bool) {
    var samples: [Float] = []
    let limit = Self.secondsLimit * synthesizer.sampleRate
    do {
      let summary = try synthesizer.narrate(
        text, voice: voice, options: GenerationOptions(), name: "text"
      ) {
        if observer.isInterrupted() { throw Cut.interrupted }
        samples += $0
        if samples.count >= limit { throw Cut.tooLong }
      }
      return (samples, summary.endlessPieces == 0)
    } catch Cut.tooLong {
      return (Array(samples.prefix(limit)), false)
    }
  }
}
