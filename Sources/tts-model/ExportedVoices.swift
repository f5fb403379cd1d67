import Audio
import Base
import Filters
import Foundation
import ModelInterface
import ModelRegistry
import SpeechTraining
import Tensors

/// The voices that an exported model is given: a file of states each, which belong to its exact weights.
struct ExportedVoices {
  /// Recordings by the names of their voices.
  private var recordings: [(name: String, path: String)] = []
  /// Files of records with latents, whose speakers name voices.
  private var banks: [String] = []

  /// Finds recordings and voice banks; nothing is read yet.
  ///
  /// - Parameter operands: files, patterns of files, and folders of recordings.
  /// - Throws: `noInput` where there is none; `usage` for names that voices cannot have.
  init(_ operands: [String]) throws {
    for path in try files(matching: operands) {
      if isDirectory(path) {
        let names = try FileManager.default.contentsOfDirectory(atPath: path).sorted()
          .filter { !$0.hasPrefix(".") && isRecording($0) }
        guard !names.isEmpty else { throw Failure.noRecordings(path) }
        for name in names { try add(path + "/" + name) }
      } else if path.hasSuffix(".ttsr") {
        banks.append(path)
      } else {
        try add(path)
      }
    }
  }

  private mutating func add(_ path: String) throws {
    let file = path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
    let (name, suffix) = Self.split(file)
    try Self.check(name, path)
    // What it holds would be taken for states of these weights.
    guard suffix != "safetensors" else { throw Failure.voiceStates(path) }
    if let other = recordings.first(where: { $0.name == name }) {
      throw Failure.voiceTwice(name, path, other.path)
    }
    recordings.append((name, path))
  }

  private static func split(_ name: String) -> (stem: String, suffix: String) {
    guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return (name, "") }
    return (String(name[..<dot]), name[name.index(after: dot)...].lowercased())
  }

  private static func check(_ name: String, _ path: String) throws {
    guard !name.isEmpty, !name.contains(where: { "/.".contains($0) }), name.utf8.count <= 200 else {
      throw Failure.voiceName(name, path)
    }
  }

  /// Makes the voices with a model and writes them into a folder.
  ///
  /// - Returns: their names.
  func write(to folder: String, with model: any SpeechModel) throws -> [String] {
    let synthesizer = try model.synthesizer(precision: .float32)
    var voices: [(name: String, make: () throws -> any Voice)] = recordings.map { name, path in
      (name, { try Voices(model: model, synthesizer: synthesizer).voice(path) })
    }
    if !banks.isEmpty {
      let bank = try VoiceBank(
        banks,
        LatentForm(
          width: synthesizer.latentWidth, frameRate: synthesizer.frameRate,
          codecDigest: try model.encoderDigest()))
      for (name, latents) in bank.references {
        try Self.check(name, banks[0])
        if let other = recordings.first(where: { $0.name == name }) {
          throw Failure.voiceTwice(name, banks[0], other.path)
        }
        voices.append((name, { try synthesizer.voice(ofLatents: latents) }))
      }
    }
    try createDirectory(folder)
    for (name, make) in voices.sorted(by: { $0.name < $1.name }) {
      try Interruption.check()
      try make().write(to: "\(folder)/\(name).safetensors")
    }
    return voices.map(\.name).sorted()
  }
}

extension Failure {
  fileprivate static func noRecordings(_ folder: String) -> Failure {
    Failure(
      .noInput, subject: folder, problem: "no recordings in the folder",
      remedy: "name a folder with WAV or FLAC files")
  }

  fileprivate static func voiceName(_ name: String, _ path: String) -> Failure {
    Failure(
      .usage, subject: path, problem: "'\(name)' cannot be the name of a voice",
      remedy: "choose one without dots and slashes")
  }

  fileprivate static func voiceStates(_ path: String) -> Failure {
    Failure(
      .usage, subject: path, problem: "an exported voice belongs to the weights that made it",
      remedy: "give the recording that it was made from")
  }

  fileprivate static func voiceTwice(_ name: String, _ path: String, _ other: String) -> Failure {
    Failure(
      .usage, subject: path, problem: "a second voice '\(name)' beside that of \(other)",
      remedy: "rename one of them")
  }
}
