import Audio
import Base
import Foundation
import ModelInterface

/// What a client wants to hear.
struct SpeechRequest: Sendable {
  enum Voice: Sendable {
    case standard
    case named(String)
    /// The bytes of an audio file.
    case recording([UInt8])
  }
  enum Format: Sendable { case wav, pcm }

  var text: String
  var voice = Voice.standard
  var format = Format.wav
  var seed: UInt64?
  /// Silence after the speech, in seconds.
  var closingSilence = 0.0
}

/// The requests that wait, and the threads that work on them.
///
/// Speech is made on threads of their own, since it computes for long; the requests that are being
/// made, wait or are not yet sent to their end are counted, and beyond the limit none is taken.
final class SpeechQueue: Sendable {
  /// The answer to a request that was taken: how its speech began.
  enum Start: Sendable {
    case speaking
    case failed(Failure)
  }

  private struct Job: Sendable {
    var request: SpeechRequest
    var stream: SpeechStream
    var start: CheckedContinuation<Start, Never>
    var arrival = ContinuousClock.now
  }

  private struct State {
    var jobs: [Job] = []
    /// The streams that were not sent to their end, by the number of their request.
    var open: [Int: SpeechStream] = [:]
    var last = 0
    var isStopped = false
  }

  private let speech: SpeechSource
  private let limit: Int
  private let metrics: Metrics
  private let state = Monitor(State())

  /// Starts the threads.
  ///
  /// - Parameters:
  ///   - limit: requests that may wait behind those that are being worked on.
  ///   - workers: requests that are worked on at a time.
  init(_ speech: SpeechSource, limit: Int, workers: Int, metrics: Metrics) {
    self.speech = speech
    self.limit = limit + workers
    self.metrics = metrics
    for number in 0..<workers {
      let thread = Thread { [self] in work() }
      thread.name = "speech \(number)"
      thread.stackSize = 8 << 20
      thread.start()
    }
  }

  /// Requests that were not sent to their end, and those of them whose speech has not begun.
  var load: (open: Int, waiting: Int) { state.withLock { ($0.open.count, $0.jobs.count) } }

  /// Takes a request and waits until its speech begins.
  ///
  /// - Returns: nil when there is no room.
  func submit(_ request: SpeechRequest) async -> (start: Start, body: SpeechBody)? {
    let stream = SpeechStream()
    guard let number = admit(stream) else { return nil }
    let body = SpeechBody(stream) { [state] in state.withLock { $0.open[number] = nil } }
    let start = await withCheckedContinuation { continuation in
      let isStopped = state.withLock { state in
        if !state.isStopped {
          state.jobs.append(Job(request: request, stream: stream, start: continuation))
        }
        return state.isStopped
      }
      if isStopped { continuation.resume(returning: .failed(.serverStops())) }
    }
    return (start, body)
  }

  /// Ends all requests and the threads.
  func stop() {
    let (jobs, open) = state.withLock { state in
      defer { state.jobs = [] }
      state.isStopped = true
      return (state.jobs, state.open)
    }
    for job in jobs { job.start.resume(returning: .failed(.serverStops())) }
    for stream in open.values { stream.abandon() }
  }

  private func admit(_ stream: SpeechStream) -> Int? {
    state.withLock { state in
      if state.open.count >= limit {
        // A client that takes nothing makes room for others.
        for (number, other) in state.open where other.isStalled {
          other.abandon()
          state.open[number] = nil
        }
      }
      guard state.open.count < limit, !state.isStopped else { return nil }
      state.last += 1
      state.open[state.last] = stream
      return state.last
    }
  }

  // MARK: The workers' side

  private func work() {
    while true {
      let job: Job? = state.wait { state -> Job?? in
        if state.isStopped { return .some(nil) }
        guard !state.jobs.isEmpty else { return nil }
        return state.jobs.removeFirst()
      }
      guard let job else { return }
      speak(job)
    }
  }

  private func speak(_ job: Job) {
    let begin = ContinuousClock.now
    var start: CheckedContinuation<Start, Never>? = job.start
    var samples = 0
    defer {
      metrics.addSpeech(
        seconds: Double(samples) / Double(speech.sampleRate), time: ContinuousClock.now - begin)
    }
    do {
      try speech.speak(job.request) { bytes, count in
        samples += count
        try CurrentSpeechBatch.stepOut { try job.stream.put(bytes) }
        if let waiting = start.take() {
          metrics.addStart(after: ContinuousClock.now - job.arrival)
          waiting.resume(returning: .speaking)
        }
      }
      job.stream.finish()
      // A text that comes to nothing is an empty answer.
      start.take()?.resume(returning: .speaking)
    } catch is Abandoned {
      metrics.addCancelled()
      start.take()?.resume(returning: .failed(.serverStops()))
    } catch {
      let failure =
        error as? Failure ?? Failure(.internalFault, problem: "unexpected error: \(error)")
      job.stream.fail()
      start.take()?.resume(returning: .failed(failure))
    }
  }
}
