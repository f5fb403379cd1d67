import Audio
import AudioRecords
import Base
import Filters
import Glibc

/// Enhances recordings, one after another.
struct RecordingRun {
  let path: EnhancementPath
  /// How samples are stored; nil where the output's name says it.
  let codec: SampleCodec?
  let skipsExisting: Bool
  /// Whether the outputs go to a folder.
  let isFolder: Bool
  /// Whether the first recording that cannot be enhanced ends the run.
  let failsOnError: Bool
  let run: ToolRun

  /// Samples that are read at a time.
  private static let pieceSize = 1 << 16

  /// - Throws: after all recordings, of the kind of those that failed.
  func perform(_ recordings: [Recording]) throws {
    var (seconds, written, failures) = (0.0, 0, [Failure]())
    defer { run.note("audio_seconds", .number(seconds)) }
    for (index, recording) in recordings.enumerated() {
      try run.checkInterrupted()
      if skipsExisting, let target = recording.target, fileExists(target) {
        run.count("skipped")
        continue
      }
      do {
        seconds += try enhance(recording, place: (index + 1, recordings.count))
        written += 1
        run.count("written")
      } catch let failure as Failure
        where [.badInput, .noInput].contains(failure.kind)
      {
        let failure = failure.about(recording.name)
        run.count("failed")
        guard isFolder, !failsOnError else { throw failure }
        run.warn(failure.description)
        failures.append(failure)
      }
    }
    say(written, seconds, of: recordings.count)
    guard let first = failures.first else { return }
    throw Failure(
      failures.allSatisfy { $0.kind == first.kind } ? first.kind : .badInput,
      problem: "\(failures.count) of \(recordings.count) recordings could not be enhanced",
      remedy: "mend them and run again, with --skip-existing for these alone")
  }

  private func say(_ written: Int, _ seconds: Double, of count: Int) {
    let took = max(run.seconds, 1e-3)
    let line =
      "\(Self.duration(seconds)) of audio in \(Self.duration(took)), "
      + "\(Self.rounded(seconds / took)) times real time"
    if isFolder {
      run.say("\(written)\(written < count ? " of \(count)" : "") recordings, \(line)")
    } else {
      run.detail(line)
    }
  }

  /// Enhances one.
  ///
  /// - Returns: its seconds.
  private func enhance(_ recording: Recording, place: (number: Int, count: Int)) throws -> Double {
    let file = try recording.open()
    // The first samples tell whether there are any before something is created.
    var samples = try read(file)
    guard !samples.isEmpty else {
      throw Failure(
        .badInput, subject: recording.name, problem: "the audio is empty",
        remedy: "remove the file")
    }
    let total = file.frames.map { Double($0) / Double(file.rate) }
    let begun = run.seconds
    var stream = try path.begin(from: file.rate) { [run] seconds in
      try run.checkInterrupted()
      run.progress(
        Self.progress(recording.name, seconds, of: total, in: run.seconds - begun, place))
    }
    if isFolder, let target = recording.target, let cut = target.lastIndex(of: "/") {
      try createDirectory(String(target[..<cut]))
    }
    let output = try RecordingOutput(recording.target, codec, rate: path.rate)
    do {
      while !samples.isEmpty {
        try output.write(try stream.enhance(samples))
        samples = try read(file)
      }
      try output.write(try stream.finish())
      try output.finish()
    } catch {
      output.discard()
      throw error
    }
    return Double(file.position) / Double(file.rate)
  }

  private func read(_ file: AudioFile) throws -> [Float] {
    let position = file.position
    let channels = try file.read(maxFrames: Self.pieceSize)
    try checkFinite(channels, path: file.path, position: position)
    return mono(channels)
  }

  // MARK: Words

  private static func progress(
    _ name: String, _ seconds: Double, of total: Double?, in took: Double,
    _ place: (number: Int, count: Int)
  ) -> String {
    var line = place.count > 1 ? "\(place.number) of \(place.count): " : ""
    line += "\(name): \(duration(seconds))"
    if let total { line += " of \(duration(total))" }
    line += ", \(rounded(seconds / max(took, 1e-3))) times real time"
    if let total, seconds > 0, total > seconds {
      line += ", \(duration(took * (total - seconds) / seconds)) left"
    }
    return line
  }

  private static func rounded(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }

  private static func duration(_ seconds: Double) -> String {
    switch seconds {
    case ..<60: "\(rounded(seconds)) s"
    case ..<3600: "\(rounded(seconds / 60)) min"
    default: "\(rounded(seconds / 3600)) h"
    }
  }
}

/// Where an enhanced recording goes: a file that has its name when it is whole, or standard output.
private final class RecordingOutput {
  private enum Form {
    case wav(WAVWriter)
    case flac(AudioFileWriter)
  }

  private let output: ByteOutput
  private var form: Form

  /// - Parameter codec: nil where the name says it.
  init(_ path: String?, _ codec: SampleCodec?, rate: Int) throws {
    let codec = codec ?? (path?.hasSuffix(".flac") == true ? .flac : .pcm)
    guard path != nil || codec != .flac else {
      throw Failure(
        .usage, subject: "standard output", problem: "FLAC needs a file", remedy: "give -o FILE")
    }
    output = try ByteOutput(path: path, isBinary: true)
    switch codec {
    case .flac:
      form = .flac(
        try AudioFileWriter(
          path: output.path, descriptor: output.descriptor, format: .flac, rate: rate, channels: 1))
    case .pcm, .i16:
      form = .wav(
        WAVWriter(
          descriptor: output.descriptor, path: output.path, rate: rate,
          encoding: codec == .i16 ? .int16 : .float32))
    }
  }

  func write(_ samples: [Float]) throws {
    guard !samples.isEmpty else { return }
    switch form {
    case .wav(var writer):
      try writer.write(samples)
      form = .wav(writer)
    case .flac(let writer): try writer.write([samples])
    }
  }

  func finish() throws {
    switch form {
    case .wav(var writer): try writer.finish()
    case .flac(let writer): try writer.finish()
    }
    try output.finish()
  }

  func discard() { output.discard() }
}
