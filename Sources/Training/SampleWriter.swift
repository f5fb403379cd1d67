import Audio
public import Base
import Foundation
import Glibc
import Tensors

/// Sound of one channel, to listen to.
public struct Sound: Sendable {
  /// Nominally within ±1.
  public var samples: [Float]
  /// Samples a second.
  public var rate: Int
  /// What the log tells of it, beside its file and its length.
  public var facts: [String: JSON]
  /// Worth a line; nil: nothing is.
  public var remark: String?

  /// Sound with what the log tells of it.
  public init(samples: [Float], rate: Int, facts: [String: JSON], remark: String? = nil) {
    self.samples = samples
    self.rate = rate
    self.facts = facts
    self.remark = remark
  }
}

/// The samples of a step while they are made: a lesson adds one after the other.
public final class SampleCollection {
  /// The step.
  public let step: Int
  private let folder: String
  private let observer: TrainingObserver
  fileprivate private(set) var made: [Made] = []

  fileprivate struct Made {
    var name: String
    var file: String
    var rate: Int
    var count: Int
    var json: JSON
  }

  /// A signal asked the run to end.
  fileprivate struct Interruption: Error {}

  fileprivate init(step: Int, folder: String, observer: TrainingObserver) {
    self.step = step
    self.folder = folder
    self.observer = observer
  }

  /// Ends the work on samples when the run is asked to end; all that takes long calls it now and then.
  public func checkInterrupted() throws {
    if observer.isInterrupted() { throw Interruption() }
  }

  /// Adds a sample as `samples/step00001000-NAME.wav`. What goes wrong with it is a warning.
  public func add(_ name: String, _ make: () throws -> Sound) throws {
    let file = "step\(padded(step, to: 8))-\(name).wav"
    observer.progress("step \(step): sample \(name)")
    do {
      let sound = try make()
      let wav =
        WAVWriter.header(rate: sound.rate, frames: sound.samples.count)
        + int16TowardZero(sound.samples).withUnsafeBytes { Array($0) }
      try AtomicFile.write(wav, to: folder + "/" + file)
      if let remark = sound.remark { observer.say("\(file): \(remark)") }
      var facts = sound.facts
      facts["file"] = .string(file)
      facts["seconds"] = .number(Double(sound.samples.count) / Double(sound.rate))
      made.append(
        Made(
          name: name, file: file, rate: sound.rate, count: sound.samples.count,
          json: .object(facts)))
    } catch let failure as Failure {
      observer.warn("\(file): \(failure)")
    }
  }
}

/// Writes what a lesson makes to listen to with the weights that a run hands out, and tells the log.
struct SampleWriter {
  /// Steps between samples; 0 for none.
  let every: Int
  let lesson: any Lesson
  /// Of the run.
  let directory: String
  let observer: TrainingObserver

  private var folder: String { directory + "/samples" }

  /// Whether a step has samples that are not made yet.
  func isDue(_ step: Int, isLast: Bool, _ log: ProgressLog) -> Bool {
    every > 0 && (step % every == 0 || isLast) && !log.has("samples", step)
  }

  /// Sees to it that samples can be made.
  ///
  /// - Throws: what is wrong.
  func check() throws {
    guard every > 0 else { return }
    try keepingNoMemory { try lesson.checkSamples() }
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

  /// Writes the samples of a step; what goes wrong with them is a warning.
  ///
  /// - Returns: false when a signal ended it before all were made.
  func write(_ state: TrainingState, _ log: ProgressLog) throws -> Bool {
    let samples = SampleCollection(step: state.step, folder: folder, observer: observer)
    do {
      try createDirectory(folder)
      try keepingNoMemory {
        try lesson.makeSamples(
          samples, parameters: state.weights.dictionary, buffers: state.buffers)
      }
    } catch is SampleCollection.Interruption {
      return false
    } catch let failure as Failure {
      observer.warn("no samples of step \(state.step): \(failure)")
    }
    // Only now, so that none stands there twice when a signal ended it before.
    try log.write(
      "samples", step: state.step, ["samples": .array(samples.made.map(\.json))])
    do {
      for sample in samples.made {
        try log.add(
          "samples/" + sample.name, wav: readFile(folder + "/" + sample.file), rate: sample.rate,
          samples: sample.count, step: state.step)
      }
    } catch let failure as Failure {
      observer.warn("\(failure)")
    }
    return true
  }

  /// Memory goes back to the system, since no step of the training can use it.
  private func keepingNoMemory(_ body: () throws -> Void) throws {
    let kept = TensorMemory.kept
    TensorMemory.kept = 0
    defer { TensorMemory.kept = kept }
    try body()
  }
}
