import Base
import Foundation
import ModelInterface
import Safetensors
import Tensors
import TestSupport
import Testing

@testable import PocketTTS

/// Voices written to files, and the voices of a model directory.
@Suite struct VoiceTests {
  let scratch: ScratchFolder

  init() throws { scratch = try ScratchFolder() }

  private func speech(
    _ synthesizer: any Synthesizer, _ voice: any Voice, text: String = "Hello there."
  ) throws -> [Float] {
    var options = GenerationOptions(temperature: 0)
    options.maxFrames = 6
    var audio: [Float] = []
    _ = try synthesizer.narrate(text, voice: voice, options: options, name: "test") { audio += $0 }
    return audio
  }

  /// The voice of the fixture's recording as we write it is the one that the official package wrote.
  @Test func ourFileHoldsTheOfficialTensors() throws {
    let model = try PocketTTSModel(path: fixture("PocketTTS/lsd"))
    let synthesizer = try model.synthesizer()
    let voices = Voices(model: model, synthesizer: synthesizer)
    let ours = try voices.voice(fixture("PocketTTS/lsd/voice.wav"))
    try ours.write(to: scratch.file("ours.safetensors"))
    let written = try SafetensorsFile(path: scratch.file("ours.safetensors"))
    let official = try SafetensorsFile(path: fixture("PocketTTS/lsd/voice.safetensors"))
    #expect(written.names == official.names)
    for name in official.names {
      #expect(written.shape(of: name) == official.shape(of: name), "\(name)")
      #expect(written.type(of: name) == official.type(of: name), "\(name)")
      if name.hasSuffix("/cache") {
        assertClose(
          try written.floats(name), try official.floats(name), tolerance: activationTolerance, name)
      } else {
        #expect(try written.array(name) == official.array(name), "\(name)")
      }
    }
    // Read again it is the same voice to the bit.
    let again = try voices.voice(scratch.file("ours.safetensors"))
    #expect(try speech(synthesizer, again) == speech(synthesizer, ours))
  }

  @Test func aModelHasVoicesOfItsOwn() throws {
    for name in ["config.yaml", "model.safetensors", "tokenizer.json"] {
      try FileManager.default.createSymbolicLink(
        atPath: scratch.file(name), withDestinationPath: fixture("PocketTTS/lsd/\(name)"))
    }
    let bytes = try #require(
      FileManager.default.contents(atPath: fixture("PocketTTS/lsd/voice.safetensors")))
    try scratch.write(Array(bytes), to: "voices/anna.safetensors")
    try scratch.write("other", to: "voices/notes.txt")
    try scratch.write(Array(bytes), to: "secret.safetensors")
    let model = try PocketTTSModel(path: scratch.path)
    #expect(model.voiceNames == ["anna"])
    #expect(model.voiceFile(named: "anna") != nil)
    for name in ["../secret", "/etc/passwd", "", ".", "notes", "anna.safetensors"] {
      #expect(model.voiceFile(named: name) == nil, "\(name)")
    }
    let voices = Voices(model: model, synthesizer: try model.synthesizer())
    #expect(try voices.ownVoice("anna")?.positions == voices.voice("anna").positions)
    #expect(try voices.ownVoice("../secret") == nil)
    #expect(throws: Failure.self) { try voices.voice("nobody") }
  }

  @Test func onlySoManyVoicesAreKept() throws {
    let bytes = try #require(
      FileManager.default.contents(atPath: fixture("PocketTTS/lsd/voice.safetensors")))
    let model = try PocketTTSModel(path: fixture("PocketTTS/lsd"))
    let voices = Voices(model: model, synthesizer: try model.synthesizer(), limit: 2)
    let files = try (0..<3).map { try scratch.write(Array(bytes), to: "\($0).safetensors") }
    for file in files { _ = try voices.voice(file) }
    for file in files { try FileManager.default.removeItem(atPath: file) }
    // The first made room for the third.
    #expect(throws: Failure.self) { try voices.voice(files[0]) }
    #expect(try voices.voice(files[1]).positions > 0)
    #expect(try voices.voice(files[2]).positions > 0)
  }

  @Test func pausesAreExact() throws {
    let model = try PocketTTSModel(path: fixture("PocketTTS/lsd"))
    let synthesizer = try model.synthesizer()
    let voice = try synthesizer.defaultVoice()
    let one = try speech(synthesizer, voice, text: "One.")
    let two = try speech(synthesizer, voice, text: "Two, three.")
    let both = try speech(synthesizer, voice, text: "One. [pause 1.2345s] Two, three.[pause 1ms]")
    // 29,628 samples are 1.2345 s.
    #expect(
      both == one + [Float](repeating: 0, count: 29_628) + two + [Float](repeating: 0, count: 24))
    // Noise is drawn anew after a pause.
    var options = GenerationOptions()
    options.maxFrames = 6
    var halves: [Float] = []
    _ = try synthesizer.narrate(
      "One. [pause 0s] One.", voice: voice, options: options, name: "test"
    ) { halves += $0 }
    #expect(halves.prefix(halves.count / 2) != halves.suffix(halves.count / 2))
  }
}
