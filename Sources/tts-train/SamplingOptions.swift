import ArgumentParser
import Base
import Filters
import ModelInterface
import SpeechTraining
import Training

/// What a run says aloud while it goes on.
struct SamplingOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      Every so many steps, before the first one and at the end, say some sentences with the model \
      into the run's samples/; 0: never.
      """, valueName: "n"))
  var sampleEvery = 0

  @Option(
    help: ArgumentHelp(
      "Say the lines of this file. Default: three English sentences.", valueName: "file"),
    completion: .file())
  var sampleText: String?

  @Option(
    help: ArgumentHelp(
      """
      Say them in this voice: a recording, a voice file, or a voice of the model by its name; may \
      be given several times. Without it the voice is random.
      """, valueName: "voice"), completion: .file())
  var sampleVoice: [String] = []

  @Option(
    help: ArgumentHelp(
      "Say this sentence, rather than a file's lines; may be given several times.",
      valueName: "text"))
  var sampleSentence: [String] = []

  private static let mostTexts = 100

  func validate() throws {
    guard (0...1 << 31).contains(sampleEvery) else {
      throw ValidationError("--sample-every must be at least 0 and at most \(1 << 31).")
    }
    guard sampleEvery > 0 || sampleText == nil && sampleVoice.isEmpty && sampleSentence.isEmpty
    else {
      throw ValidationError(
        "--sample-text, --sample-sentence and --sample-voice need --sample-every.")
    }
    guard sampleText == nil || sampleSentence.isEmpty else {
      throw ValidationError("--sample-text and --sample-sentence exclude each other.")
    }
    guard sampleSentence.count <= Self.mostTexts else {
      throw ValidationError("--sample-sentence may be given \(Self.mostTexts) times.")
    }
  }

  /// - Parameter model: finds the voices.
  func set(_ options: inout TrainingOptions, _ model: any SpeechModel) throws {
    options.run.sampleEvery = sampleEvery
    if !sampleSentence.isEmpty { options.samples.texts = sampleSentence }
    if let sampleText { options.samples.texts = try Self.texts(in: sampleText) }
    var names: Set<String> = []
    options.samples.voices = try sampleVoice.map { voice in
      let stem = Self.fileName(of: voice)
      let name = (1...).lazy.map { $0 == 1 ? stem : "\(stem)-\($0)" }.first { !names.contains($0) }
      names.insert(name ?? stem)
      return SampleRequest.Voice(name: name ?? stem, path: try model.voicePath(voice))
    }
  }

  private static func texts(in path: String) throws -> [String] {
    let lines = try TextLines(paths: [path])
    var texts: [String] = []
    while let line = try lines.next() {
      guard !line.allSatisfy(\.isWhitespace) else { continue }
      texts.append(line)
      guard texts.count <= mostTexts else {
        throw Failure(
          .badInput, subject: path, problem: "more than \(mostTexts) sentences to say",
          remedy: "choose some of them")
      }
    }
    guard !texts.isEmpty else {
      throw Failure(
        .badInput, subject: path, problem: "there is nothing to say",
        remedy: "write a sentence on each line")
    }
    return texts
  }

  /// The part of a voice's path that files can be named by: letters, digits and a few signs.
  private static func fileName(of voice: String) -> String {
    let last = voice.split(separator: "/").last.map(String.init) ?? voice
    let stem = last.firstIndex(of: ".").map { String(last[..<$0]) } ?? last
    let name = String(
      stem.map { $0.isLetter || $0.isNumber || "_-".contains($0) ? $0 : "_" }.prefix(48))
    return name.isEmpty ? "voice" : name
  }
}
