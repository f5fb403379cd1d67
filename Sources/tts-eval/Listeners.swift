import Audio
import Base
import Filters
import Glibc
import ModelInterface
import Records
import Speaking

/// The commands that listen to speech, and the files that they get. Several threads may ask at a time.
struct Listeners: Sendable {
  private let asr: ExternalCommand?
  private let similarity: ExternalCommand?
  private let comparesReference: Bool
  private let hearsReferences: Bool
  /// Where the speech stays; nil when it does not.
  private let folder: String?
  private let model: any SpeechModel
  /// The voice of sentences that name none.
  private let voice: String?
  private let rate: Int
  /// The rate of what commands get; nil for that of the sound.
  private let wavRate: Int?
  private let jobs: Int
  private let running = Monitor(0)
  private let run: ToolRun

  init(
    _ options: ListenerOptions, folder: String?, model: any SpeechModel, voice: String?, rate: Int,
    run: ToolRun
  ) throws {
    (asr, similarity) = try options.commands()
    comparesReference = options.similarityTo == .reference
    hearsReferences = options.asrFloor
    self.folder = folder
    self.model = model
    self.voice = voice
    self.rate = rate
    wavRate = options.wavRate
    jobs = options.jobs
    self.run = run
    if let folder { try createDirectory(folder) }
  }

  /// Keeps the speech of a sentence, has it heard and compared. What a command fails at is noted in the
  /// result.
  ///
  /// - Parameter words: what is right.
  /// - Throws: when a file cannot be written; `interrupted`.
  func listen(
    to samples: [Float], of sentence: Sentence, words: String, reference: Reference?,
    into result: inout SentenceResult
  ) throws {
    let kept = try keep(samples, of: sentence.id)
    guard asr != nil || similarity != nil else { return }
    let speech: ScratchRecording
    if let kept, wavRate == nil || wavRate == rate {
      speech = ScratchRecording(existing: kept)
    } else {
      speech = try ScratchRecording([samples], rate: rate, wanted: wavRate)
    }
    if let asr {
      result.heard = try ask(asr, [speech], &result).map { Hearing($0, of: words) }
      if hearsReferences, let recording = reference?.samples {
        let file = try ScratchRecording([recording], rate: rate, wanted: wavRate)
        result.heardOfReference = try ask(asr, [file], &result).map { Hearing($0, of: words) }
      }
    }
    if let similarity, let speaker = try speaker(of: sentence, reference) {
      if let answer = try ask(similarity, [speech, speaker], &result) {
        let value = Double(answer.trimmingWhitespace)
        if let value, value.isFinite {
          result.similarity = value
        } else {
          result.failures.append(
            similarity.unusable(answer, wanted: "one number").of(record: result.id))
        }
      }
    }
  }

  private func keep(_ samples: [Float], of id: String) throws -> String? {
    guard let folder else { return nil }
    let path = "\(folder)/\(Record.path(of: id)).wav"
    if let cut = path.lastIndex(of: "/") { try createDirectory(String(path[..<cut])) }
    let file = try AtomicFile(path: path)
    var writer = WAVWriter(descriptor: file.descriptor, path: path, rate: rate)
    try writer.write(samples)
    try writer.finish()
    try file.commit()
    return path
  }

  /// What the speech is compared with for its speaker; nil, with a warning, where there is nothing.
  private func speaker(of sentence: Sentence, _ reference: Reference?) throws -> ScratchRecording? {
    if comparesReference {
      if let recording = reference?.samples {
        return try ScratchRecording([recording], rate: rate, wanted: wavRate)
      }
      run.warnOnce("sentences without a reference are not compared by --similarity")
      return nil
    }
    if let name = sentence.utterance.voice ?? voice {
      let path = try model.voicePath(name)
      if !path.hasSuffix(".safetensors") {
        let file = try AudioFile(path: path)
        return try ScratchRecording(file.readAll(), rate: file.rate, wanted: wavRate)
      }
    }
    run.warnOnce(
      "--similarity compares with recordings, and the voice is none; give one as --voice, or "
        + "--similarity-to reference")
    return nil
  }

  /// Asks a command, when its turn has come.
  ///
  /// - Returns: nil when it failed, which is then noted.
  private func ask(
    _ command: ExternalCommand, _ files: [ScratchRecording], _ result: inout SentenceResult
  ) throws -> String? {
    running.wait { running -> Void? in
      guard running < jobs else { return nil }
      running += 1
      return ()
    }
    defer { running.withLock { $0 -= 1 } }
    result.commands += 1
    do {
      return try command.answer(for: files.map(\.path))
    } catch let failure as Failure where failure.kind == .unavailable {
      result.failures.append(failure.of(record: result.id))
      return nil
    }
  }
}

/// A WAV file of 16 bits that is there while a command needs it.
final class ScratchRecording: Sendable {
  let path: String
  private let isOurs: Bool

  /// A file that stays.
  init(existing path: String) {
    self.path = path
    isOurs = false
  }

  /// Writes a file into the folder for temporary files.
  ///
  /// - Parameters:
  ///   - channels: samples, [channel][sample].
  ///   - wanted: the rate of the file; nil for that of the samples.
  init(_ channels: [[Float]], rate: Int, wanted: Int?) throws {
    var samples = mono(channels)
    if let wanted, wanted != rate {
      var resampler = try ReferenceResampler(from: rate, to: wanted)
      samples = try resampler.all(samples)
    }
    let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(folder)/tts-eval-XXXXXX.wav".utf8CString)
    let descriptor = mkstemps(&template, 4)
    guard descriptor >= 0 else {
      throw Failure.systemCall("create a file in", folder, writing: true, code: errno)
    }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    isOurs = true
    TemporaryFiles.add(path)
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    defer { close(descriptor) }
    var writer = WAVWriter(descriptor: descriptor, path: path, rate: wanted ?? rate)
    try writer.write(samples)
    try writer.finish()
  }

  deinit {
    guard isOurs else { return }
    unlink(path)
    TemporaryFiles.remove(path)
  }
}

extension Failure {
  /// The same failure, of a record.
  fileprivate func of(record: String) -> Failure {
    var copy = self
    copy.record = record
    return copy
  }
}

extension String {
  /// Without white space at its ends.
  var trimmingWhitespace: String {
    let scalars = unicodeScalars.drop { $0.properties.isWhitespace }
    let end = scalars.lastIndex { !$0.properties.isWhitespace }
    return end.map { String(scalars[...$0]) } ?? ""
  }
}
