import Base
import Records

/// What arrives, in order, at the writer of a stream.
enum StreamEvent {
  /// The following records stand under this header.
  case header(StreamHeader)
  /// A new id begins.
  case id
  /// A rejected record of an upstream tool goes by.
  case passed(Record)
  /// A record that the worker made; it may have marked it as rejected itself.
  case made(Record, path: String)
  /// A record that could not be processed, marked.
  case rejected(Record, reason: String, isFirst: Bool)
  /// So many seconds of audio were read and worked on.
  case progress(seconds: Double)
  /// All input was read; this is its digest.
  case inputDigest(SHA256Digest)
  /// An upstream tool failed.
  case upstreamAbort(Abort)
  /// The run ends here.
  case failure(any Error)
}

/// Writes events to the output, counts, and decides when there were too many rejects.
struct EventWriter {
  let output: RecordOutput
  let run: ToolRun
  /// Which share of the input was read, where that is known.
  let share: Locked<Double?>
  private let onError: RejectOptions.OnError
  private var count: RejectCount
  private var audioSeconds = 0.0
  private var hasHeader = false
  private var printed = 0
  private var lastRejectedID: String?

  init(
    output: RecordOutput, run: ToolRun, rejects: RejectOptions,
    share: Locked<Double?> = Locked(nil)
  ) {
    self.share = share
    self.output = output
    self.run = run
    onError = rejects.onError
    count = RejectCount(limit: rejects.maxRejected)
  }

  mutating func take(_ event: StreamEvent) throws {
    switch event {
    case .header(let header):
      try output.begin(header)
      hasHeader = true
    case .id:
      count.addID()
    case .passed(let record):
      run.count("passed rejected")
      try output.write(record)
    case .made(let record, let path):
      if record.isRejected { try reject(record, record.rejections.last ?? "rejected", path) }
      run.count("written")
      try output.write(record)
    case .rejected(let record, let reason, let isFirst):
      if isFirst { try reject(record, reason, nil) }
      run.count("rejected records")
      try output.write(record)
    case .progress(let seconds):
      audioSeconds += seconds
      run.count("read")
    case .inputDigest(let digest):
      output.add(from: digest)
    case .upstreamAbort(let abort):
      output.upstreamAbort = abort
    case .failure(let error):
      throw error
    }
    run.progress(progressLine)
  }

  /// Ends the stream after the last event: there is a header even if there was no input.
  mutating func end(_ stage: Stage) throws {
    if !hasHeader { try output.begin(StreamHeader().appending(stage)) }
    if count.rejected > 0 { run.say("\(count.rejected) of \(count.ids) ids rejected") }
    run.detail(progressLine)
  }

  /// Tells the report what was done, however the run ends.
  func report() {
    run.note("audio_seconds", .number(audioSeconds))
    run.note("rejected_by_reason", .object(count.reasons.mapValues { .integer(Int64($0)) }))
    run.count("ids", count.ids)
    run.count("rejected ids", count.rejected)
  }

  private mutating func reject(_ record: Record, _ reason: String, _ path: String?) throws {
    guard onError == .reject else {
      throw Failure(
        .badInput, subject: path, record: record.id, problem: reason,
        remedy: "mend the input, or keep such records with --on-error reject")
    }
    // Several pieces of one id count once.
    let id = record.metadata["parent"] ?? record.id
    guard id != lastRejectedID else { return }
    lastRejectedID = id
    printed += 1
    if printed <= 10 || run.isVerbose {
      run.warn("record '\(record.id)': rejected: \(reason)")
    } else if printed == 11 {
      run.warn("more records are rejected; -v prints them all")
    }
    try count.addRejected(id: record.id, reason: reason)
  }

  private var progressLine: String {
    let seconds = max(run.seconds, 1e-3)
    var line = "\(Self.duration(audioSeconds)) of audio"
    line += ", \(Self.rounded(audioSeconds / seconds)) times real time"
    line += ", \(count.ids) ids"
    if count.rejected > 0 { line += ", \(count.rejected) rejected" }
    if let share = share.withLock({ $0 }), share > 0.01, share < 1 {
      line += ", \(Self.remaining(seconds * (1 - share) / share)) left"
    }
    return line
  }

  private static func rounded(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }

  private static func remaining(_ seconds: Double) -> String {
    seconds >= 5400 ? "\(rounded(seconds / 3600)) h" : "\(Int(seconds / 60) + 1) min"
  }

  private static func duration(_ seconds: Double) -> String {
    seconds >= 3600 ? "\(rounded(seconds / 3600)) h" : "\(rounded(seconds / 60)) min"
  }
}
