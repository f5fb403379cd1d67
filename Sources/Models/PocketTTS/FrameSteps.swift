import Base
import ModelInterface
import NeuralNetworks
import Tensors

/// A speech between its frames: what the language model remembers, and the latest frame.
///
/// It is touched by one thread at a time: its own, or that of whoever makes the step.
final class SpeechState: @unchecked Sendable {
  /// Taken out while a step is made: a state that two hold would be copied.
  private var state: Transformer.State?
  /// Of the flow decoder.
  private let times: [Tensor?]
  /// The noise of the frame to make: `[1, channels]`.
  private var noise: Tensor
  /// The latest frame, normalised: `[1, channels]`.
  private(set) var latent: Tensor
  /// The logit for its end having come.
  private(set) var endOfSpeechLogit: Float = 0
  fileprivate var isDone = false

  /// - Parameters:
  ///   - state: after voice and text.
  ///   - times: what ``FlowHead/stepTimes(_:)`` gave.
  ///   - latent: what stands before the first frame.
  init(_ state: Transformer.State, times: [Tensor?], first latent: Tensor) {
    self.state = state
    self.times = times
    self.latent = latent
    noise = latent
  }

  /// Makes the next frame.
  ///
  /// - Parameter batch: what the thread takes part in.
  func advance(_ flowLM: FlowLM, noise: Tensor, batch: StepBatch?) {
    self.noise = noise
    if let batch { batch.advance(self) } else { Self.advance([self], flowLM) }
  }

  /// Makes the next frame of several speeches: the weights are read once for all. What becomes of one
  /// does not depend on the others.
  fileprivate static func advance(_ speeches: [SpeechState], _ flowLM: FlowLM) {
    var states = speeches.compactMap { $0.state.take() }
    let x = flowLM.transformer(
      flowLM.embed(latents: concatenateRows(speeches.map(\.latent))), states: &states)
    for (speech, state) in zip(speeches, states) { speech.state = state }
    let hidden = flowLM.hidden(x)
    let logits = flowLM.endOfSpeechLogits(hidden).values
    let latents = flowLM.head.sample(
      hidden, noise: concatenateRows(speeches.map(\.noise)),
      times: speeches[0].times)
    for (row, speech) in speeches.enumerated() {
      speech.latent = latents.rows(row..<row + 1)
      speech.endOfSpeechLogit = logits[row]
    }
  }

  /// Whether two can be advanced together.
  fileprivate func goes(with other: SpeechState) -> Bool { times.count == other.times.count }
}

/// Speeches of several threads whose frames are made together: when all who take part wait for their
/// next frame, one of them makes it for all.
final class StepBatch: SpeechBatch {
  private struct Book: Sendable {
    var members = 0
    var waiting: [SpeechState] = []
  }

  private let flowLM: FlowLM
  private let book = Monitor(Book())

  init(_ flowLM: FlowLM) { self.flowLM = flowLM }

  func join() { book.withLock { $0.members += 1 } }

  func leave() { book.withLock { $0.members -= 1 } }

  fileprivate func advance(_ speech: SpeechState) {
    book.withLock {
      speech.isDone = false
      $0.waiting.append(speech)
    }
    let all: [SpeechState] = book.wait { book in
      if speech.isDone { return [] }
      guard book.waiting.count >= book.members else { return nil }
      defer { book.waiting = [] }
      return book.waiting
    }
    guard !all.isEmpty else { return }
    ThreadBudget.inTurn(splits: true) {
      var rest = all
      while let first = rest.first {
        SpeechState.advance(rest.filter(first.goes), flowLM)
        rest.removeAll(where: first.goes)
      }
    }
    book.withLock { _ in for speech in all { speech.isDone = true } }
  }
}
