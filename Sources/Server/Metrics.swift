import Base

/// What the server did, as Prometheus reads it.
final class Metrics: Sendable {
  private struct State: Sendable {
    /// By route and status.
    var requests: [String: Int] = [:]
    var audioSeconds = 0.0
    var speechSeconds = 0.0
    var starts = 0
    var startSeconds = 0.0
    var cancelled = 0
  }

  private let state = Locked(State())

  func addRequest(route: String, status: Int) {
    state.withLock { $0.requests["route=\"\(route)\",code=\"\(status)\"", default: 0] += 1 }
  }

  /// - Parameters:
  ///   - seconds: of speech that were made.
  ///   - time: that it took.
  func addSpeech(seconds: Double, time: Duration) {
    state.withLock {
      $0.audioSeconds += seconds
      $0.speechSeconds += time.inSeconds
    }
  }

  /// - Parameter wait: from a request's arrival to its first sound.
  func addStart(after wait: Duration) {
    state.withLock {
      $0.starts += 1
      $0.startSeconds += wait.inSeconds
    }
  }

  func addCancelled() { state.withLock { $0.cancelled += 1 } }

  /// The text of `GET /metrics`.
  func text(open: Int, waiting: Int) -> String {
    let state = state.withLock { $0 }
    var lines: [String] = []
    func family(_ name: String, _ kind: String, _ help: String, _ samples: [String]) {
      lines += ["# HELP \(name) \(help)", "# TYPE \(name) \(kind)"] + samples
    }
    family(
      "tts_requests_total", "counter", "Requests answered.",
      state.requests.sorted { $0.key < $1.key }.map { "tts_requests_total{\($0.key)} \($0.value)" })
    family(
      "tts_requests_open", "gauge", "Speech requests not yet sent to their end.",
      ["tts_requests_open \(open)"])
    family(
      "tts_requests_waiting", "gauge", "Speech requests whose turn has not come.",
      ["tts_requests_waiting \(waiting)"])
    family(
      "tts_requests_cancelled_total", "counter", "Speech requests whose client left.",
      ["tts_requests_cancelled_total \(state.cancelled)"])
    family(
      "tts_audio_seconds_total", "counter", "Seconds of audio made.",
      ["tts_audio_seconds_total \(state.audioSeconds)"])
    family(
      "tts_speech_seconds_total", "counter", "Seconds spent on making it.",
      ["tts_speech_seconds_total \(state.speechSeconds)"])
    family(
      "tts_first_audio_seconds", "summary", "Seconds from a request to its first audio.",
      [
        "tts_first_audio_seconds_sum \(state.startSeconds)",
        "tts_first_audio_seconds_count \(state.starts)",
      ])
    return lines.joined(separator: "\n") + "\n"
  }
}

extension Duration {
  /// In seconds.
  var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
