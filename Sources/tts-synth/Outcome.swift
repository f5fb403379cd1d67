import Base
import Filters
import Records

/// What becomes of the utterances of a run, in their order.
struct Outcome {
  let sink: any SpeechSink
  private let onError: RejectOptions.OnError
  private let run: ToolRun
  private var count: RejectCount

  init(sink: any SpeechSink, rejects: RejectOptions, run: ToolRun) {
    self.sink = sink
    self.run = run
    onError = rejects.onError
    count = RejectCount(limit: rejects.maxRejected)
  }

  /// An utterance begins.
  mutating func begin() { count.addID() }

  /// An utterance cannot be said, or not to its end.
  ///
  /// - Throws: the failure when it ends the run, and `badInput` when there were too many.
  mutating func reject(_ record: Record, _ failure: Failure) throws {
    guard onError == .reject else { throw failure }
    run.warn(failure.description)
    run.count("rejected")
    try sink.reject(record, "\(run.tool.name): \(failure.problem)")
    try count.addRejected(id: record.id, reason: failure.problem)
  }
}
