import Base
import ModelInterface
import Tensors
import TestSupport
import Testing

@testable import PocketTTS

@Suite(.serialized) struct GenerationTests {
  private func speak(_ generator: Generator, threads: Int) throws -> [Float] {
    let limit = ThreadBudget.limit
    ThreadBudget.limit = threads
    defer { ThreadBudget.limit = limit }
    var text: String? = "Hello there, and again. Once more."
    var audio: [Float] = []
    let options = GenerationOptions(endOfSpeechThreshold: 1e9, maxFrames: 30, seed: 5)
    _ = try generator.speak(
      {
        defer { text = nil }
        return text
      }, voice: try generator.defaultVoice(), options: options, name: "x"
    ) { audio += $0 }
    return audio
  }

  /// The decoder runs beside the language model, and changes nothing by it.
  @Test func threadsChangeNothing() throws {
    let model = try PocketTTSModel(path: TestSupport.fixture("PocketTTS/lsd"))
    let generator = try #require(try model.synthesizer(precision: .float32) as? Generator)
    let alone = try speak(generator, threads: 1)
    #expect(!alone.isEmpty)
    for threads in [2, 3] {
      let isSame = try speak(generator, threads: threads) == alone
      #expect(isSame)
    }
  }

  /// Whoever listens may stop while frames are still being decoded.
  @Test func listenersMayStop() throws {
    let model = try PocketTTSModel(path: TestSupport.fixture("PocketTTS/lsd"))
    let generator = try #require(try model.synthesizer(precision: .float32) as? Generator)
    struct Enough: Error {}
    var text: String? = "Hello there."
    #expect(throws: Enough.self) {
      _ = try generator.speak(
        {
          defer { text = nil }
          return text
        }, voice: try generator.defaultVoice(),
        options: GenerationOptions(endOfSpeechThreshold: 1e9, maxFrames: 30), name: "x"
      ) { _ in throw Enough() }
    }
  }
}
