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
  /// How much of it each row fills.
  private(set) var lengths: [Int] = []
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
      lengths.append(line.count)
      sources += line + [Int32](repeating: -1, count: positions - line.count)
      voice += Int32(row.voice)
      text += Int32(row.tokens)
      latent += Int32(row.frames)
    }
  }

  /// Places among rows that were computed apart, with an end each, laid out like this.
  ///
  /// - Parameter counts: how many places each row has there.
  func padded(_ counts: [Int]) -> [Int32] {
    var places: [Int32] = []
    var first: Int32 = 0
    for (length, count) in zip(lengths, counts) {
      places += first..<first + Int32(length)
      places += [Int32](repeating: -1, count: positions - length)
      first += Int32(count)
    }
    return places
  }
}

extension FlowLM {
  /// What the heads read over a batch, recorded.
  struct Outputs {
    /// At the real frames: `[frames, Z]`.
    var frames: Tensor
    /// At the places where the end of speech is scored: `[places, Z]`.
    var ends: Tensor
    /// Whether it is reached there.
    var isEnd: [Bool]
  }

  /// The backbone over a batch; what was computed before is not computed again.
  ///
  /// - Parameter recomputing: layers whose inside the reverse pass computes again.
  func outputs(
    _ batch: [TrainingExample], normalized latents: Tensor, draws: TrainingDraws,
    teachesEveryEnd: Bool, recomputing: Int
  ) -> Outputs {
    let part = batch.first?.features?.part
    let voices = zip(batch, draws.keepsVoice).map { part != nil || $1 ? $0.voice : nil }
    let tokens = zip(batch, draws.keepsText).map { part != nil || $1 ? $0.tokens : [] }
    let layout = SequenceLayout(
      zip(batch, zip(voices, tokens)).map {
        SequenceLayout.Row(
          voice: $1.0?.rows ?? 0, tokens: $1.1.count, frames: $0.latents.rows)
      }, teachesEveryEnd: teachesEveryEnd)
    switch part {
    case .backbone:
      return outputs(
        batch.compactMap(\.features?.values), layout, frames: batch.map(\.latents.rows))
    case .layers(let count):
      let features = batch.compactMap(\.features?.values)
      let sequences = concatenateRows(features).gatherRows(
        layout.padded(features.map(\.rows)))
      return outputs(
        sequences, layout, layers: count..<transformer.sizes.layers,
        recomputing: recomputing)
    case nil:
      return outputs(
        sequences(voices: voices, tokens: tokens, latents, layout), layout,
        layers: 0..<transformer.sizes.layers, recomputing: recomputing)
    }
  }

  private func outputs(
    _ sequences: Tensor, _ layout: SequenceLayout, layers: Range<Int>, recomputing: Int
  ) -> Outputs {
    let z = hidden(
      transformer.sequences(
        sequences, positions: layout.positions, layers: layers, recomputing: recomputing))
    return Outputs(
      frames: z.gatherRows(layout.framePlaces), ends: z.gatherRows(layout.endPlaces),
      isEnd: layout.isEnd)
  }

  /// Of features that the heads read: each row has one place after its last frame.
  private func outputs(_ features: [Tensor], _ layout: SequenceLayout, frames: [Int]) -> Outputs {
    var (framePlaces, endPlaces): ([Int32], [Int32]) = ([], [])
    var (first, scored): (Int32, ArraySlice<Bool>) = (0, layout.isEnd[...])
    for count in frames {
      let places = first..<first + Int32(count)
      framePlaces += places
      endPlaces += places
      scored = scored.dropFirst(count)
      // The end follows where it is scored at all.
      if scored.first == true {
        endPlaces.append(places.upperBound)
        scored = scored.dropFirst()
      }
      first += Int32(count) + 1
    }
    let all = concatenateRows(features)
    return Outputs(
      frames: all.gatherRows(framePlaces), ends: all.gatherRows(endPlaces), isEnd: layout.isEnd)
  }

  /// The embedded sequences of a batch, `[batch * positions, d]`.
  private func sequences(
    voices: [Tensor?], tokens: [[Int32]], _ latents: Tensor, _ layout: SequenceLayout
  ) -> Tensor {
    let channels = configuration.latentWidth
    var parts = [bosBeforeVoice ?? .zeros([1, configuration.flowLM.transformer.dModel])]
    let allVoices = voices.compactMap(\.self)
    if !allVoices.isEmpty { parts.append(embed(voice: concatenateRows(allVoices))) }
    if tokens.contains(where: { !$0.isEmpty }) {
      parts.append(embed(tokens: tokens.flatMap(\.self)))
    }
    parts.append(embed(latents: concatenateRows([bos.reshaped([1, channels]), latents])))
    return concatenateRows(parts).gatherRows(layout.sources)
  }

  /// What a frozen part makes of one utterance.
  func features(of example: TrainingExample, part: FrozenPart) -> FrozenFeatures {
    let layout = SequenceLayout(
      [
        SequenceLayout.Row(
          voice: example.voice?.rows ?? 0, tokens: example.tokens.count,
          frames: example.latents.rows)
      ], teachesEveryEnd: true)
    let x = sequences(
      voices: [example.voice], tokens: [example.tokens], normalize(example.latents), layout)
    switch part {
    case .layers(let count):
      return FrozenFeatures(
        part: part,
        values: transformer.sequences(x, positions: layout.positions, layers: 0..<count))
    case .backbone:
      let z = hidden(transformer.sequences(x, positions: layout.positions))
      return FrozenFeatures(part: part, values: z.gatherRows(layout.endPlaces))
    }
  }
}
