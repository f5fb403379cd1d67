import ModelInterface
import Tensors

/// The batch of a `training.safetensors`.
struct RecordedBatch: Sendable {
  let examples: [TrainingExample]
  let keepsVoice: [Bool]
  let keepsText: [Bool]

  init(_ fixture: ModelFixture) throws {
    func rows(_ name: String, _ counts: String) throws -> [Tensor] {
      let all = try fixture.tensor(name)
      let width = all.shape[1]
      return try fixture.integers(counts).enumerated().map {
        all.rows($0.offset * width..<$0.offset * width + $0.element)
      }
    }
    let latents = try rows("batch.latents", "batch.frames")
    let voices = try rows("batch.voice", "batch.voice_frames")
    let tokens = try fixture.integers("batch.tokens")
    let counts = try fixture.integers("batch.token_counts")
    let width = tokens.count / counts.count
    examples = latents.indices.map { row in
      TrainingExample(
        latents: latents[row], voice: voices[row],
        tokens: tokens[row * width..<row * width + counts[row]].map { Int32($0) })
    }
    keepsVoice = try fixture.integers("batch.keep_voice").map { $0 != 0 }
    keepsText = try fixture.integers("batch.keep_text").map { $0 != 0 }
  }

  var keepsAll: [Bool] { examples.map { _ in true } }
  var frames: Int { examples.reduce(0) { $0 + $1.latents.rows } }
}
