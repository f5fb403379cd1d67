import Base
import ModelInterface
import NeuralNetworks
import Tensors

/// A batch laid out as one matrix of equally long sequences,
/// `[bos_before_voice | voice | text | BOS, latents]`, padded on the right.
struct SequenceLayout {
  /// Which row of the embedded parts stands at each place; -1 for padding.
  private(set) var sources: [Int32] = []
  /// The length of each sequence.
  let positions: Int
  /// The places of the real frames, row by row.
  private(set) var framePlaces: [Int32] = []
  /// The places where the end of speech is scored, and whether it is reached there.
  private(set) var endPlaces: [Int32] = []
  private(set) var isEnd: [Bool] = []

  /// One row: how much of everything it has.
  struct Row {
    var voice: Int
    var tokens: Int
    var frames: Int
  }

  /// - Parameters:
  ///   - rows: the batch.
  ///   - teachesEveryEnd: whether every row gets a place after its last frame; the official trainer
  ///     gives the longest rows none.
  init(_ rows: [Row], teachesEveryEnd: Bool) {
    let longest = rows.map(\.frames).max() ?? 0
    func audio(_ row: Row) -> Int {
      row.frames + (teachesEveryEnd || row.frames < longest ? 1 : 0)
    }
    positions = rows.map { 1 + $0.voice + $0.tokens + audio($0) }.max() ?? 0
    // The embedded parts: bos_before_voice, all voices, all texts, BOS, all latents.
    var voice: Int32 = 1
    var text = voice + Int32(rows.reduce(0) { $0 + $1.voice })
    let bos = text + Int32(rows.reduce(0) { $0 + $1.tokens })
    var latent = bos + 1
    for (index, row) in rows.enumerated() {
      let place = Int32(index * positions)
      var line: [Int32] = [0]
      line += (0..<Int32(row.voice)).map { voice + $0 }
      line += (0..<Int32(row.tokens)).map { text + $0 }
      let first = Int32(line.count)
      line.append(bos)
      line += (0..<Int32(audio(row) - 1)).map { latent + $0 }
      for frame in 0..<Int32(audio(row)) {
        let isReal = frame < row.frames
        if isReal { framePlaces.append(place + first + frame) }
        endPlaces.append(place + first + frame)
        isEnd.append(!isReal)
      }
      sources += line + [Int32](repeating: -1, count: positions - line.count)
      voice += Int32(row.voice)
      text += Int32(row.tokens)
      latent += Int32(row.frames)
    }
  }
}

extension FlowLM {
  /// The backbone over a batch, recorded.
  ///
  /// - Returns: the outputs at the real frames `[frames, Z]` and at the places where the end of speech
  ///   is scored `[places, Z]`, and whether it is reached there.
  func hidden(
    _ batch: [TrainingExample], normalized latents: Tensor, draws: TrainingDraws,
    teachesEveryEnd: Bool
  ) -> (frames: Tensor, ends: Tensor, isEnd: [Bool]) {
    let voices = zip(batch, draws.keepsVoice).map { $1 ? $0.voice : nil }
    let tokens = zip(batch, draws.keepsText).map { $1 ? $0.tokens : [] }
    let layout = SequenceLayout(
      zip(batch, zip(voices, tokens)).map {
        SequenceLayout.Row(
          voice: $1.0?.rows ?? 0, tokens: $1.1.count, frames: $0.latents.rows)
      }, teachesEveryEnd: teachesEveryEnd)
    let channels = configuration.latentWidth
    var parts = [bosBeforeVoice ?? .zeros([1, configuration.flowLM.transformer.dModel])]
    let allVoices = voices.compactMap(\.self)
    if !allVoices.isEmpty { parts.append(embed(voice: concatenateRows(allVoices))) }
    if tokens.contains(where: { !$0.isEmpty }) {
      parts.append(embed(tokens: tokens.flatMap(\.self)))
    }
    parts.append(embed(latents: concatenateRows([bos.reshaped([1, channels]), latents])))
    let sequences = concatenateRows(parts).gatherRows(layout.sources)
    let z = hidden(transformer.sequences(sequences, positions: layout.positions))
    return (
      z.gatherRows(layout.framePlaces), z.gatherRows(layout.endPlaces), layout.isEnd
    )
  }
}
