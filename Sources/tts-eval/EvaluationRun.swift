import Base
import Filters

/// Evaluates several sentences at a time; results leave in the order of the input.
struct EvaluationRun: Sendable {
  private typealias Units = OrderedUnits<Sentence, Event>

  private enum Event {
    case measured(SentenceResult)
    case rejected(id: String, text: String, Failure)
    case failed(any Error)
    /// There is no more input, for a failure or because all was read.
    case inputEnded((any Error)?, leftOut: Int)
  }

  /// Bytes of references that may wait.
  private static let heldBytes = 64 << 20

  let evaluator: Evaluator
  /// Sentences at a time.
  let count: Int

  /// Evaluates all sentences.
  ///
  /// - Parameter take: gets each result; a sentence that could not be spoken comes with why.
  /// - Returns: records that were left out because they were rejected before.
  func perform(
    _ sentences: Sentences, _ take: (SentenceResult, Failure?) throws -> Void
  ) throws -> Int {
    let units = Units(bounds: .init(units: 8 * count, bytes: Self.heldBytes))
    startThread(named: "reader") { read(sentences, into: units) }
    for index in 0..<count {
      startThread(named: "evaluator \(index)") {
        units.work { sentence, unit in
          _ = units.emit(evaluate(sentence), size: 1024, from: unit)
        }
      }
    }
    var leftOut = 0
    try units.drain { event in
      switch event {
      case .measured(let result): try take(result, nil)
      case .rejected(let id, let text, let failure):
        var result = SentenceResult(id: id, text: text)
        result.rejection = failure.problem
        try take(result, failure)
      case .failed(let error): throw error
      case .inputEnded(let error?, _): throw error
      case .inputEnded(nil, let number): leftOut = number
      }
    }
    return leftOut
  }

  private func evaluate(_ sentence: Sentence) -> Event {
    do {
      return .measured(try evaluator.evaluate(sentence))
    } catch let failure as Failure where failure.kind == .badInput {
      return .rejected(id: sentence.id, text: sentence.text, failure)
    } catch {
      return .failed(error)
    }
  }

  private func read(_ input: Sentences, into units: Units) {
    var sentences = input
    var failure: (any Error)?
    do {
      while let sentence = try sentences.next() {
        guard let unit = units.open(),
          units.add(sentence, size: sentence.byteCount, to: unit, isLast: true)
        else { return }
      }
    } catch {
      failure = error
    }
    _ = units.pass([.inputEnded(failure, leftOut: sentences.leftOut)], size: 0)
    units.close()
  }
}
