import Audio
import AudioRecords
import Base
import Records
import Safetensors

/// A recording that loses what lies before its first and after its last speech.
///
/// Silence is held back until speech follows, but never more than five minutes of it: a longer
/// silence inside a recording passes, and of a longer one at its end the last five minutes go.
struct TrimRecording: SpeechRecording {
  private static let heldSeconds = 300

  private let rate: Int
  private let codec: SampleCodec
  private var source: SourcePlace
  private let channels: Int
  private let isInParts: Bool
  private var detector: SpeechDetector
  private var span: SpeechSpan
  private var buffer: SampleBuffer
  private var cutter: PartCutter
  private var decided = 0
  /// Parts of the input without samples, and the sample each begins at: what outputs are made from.
  private var templates: [(start: Int, record: Record)] = []
  /// The first part as it came, as long as there was no speech.
  private var first: Record?
  /// First sample that is kept, and the sample that the next output begins at.
  private var kept: Int?
  private var place = 0
  private var nextPart = 0
  private(set) var failure: String?

  init(
    first: Record, rate: Int, channels: Int, _ detector: SpeechDetector, _ rules: SegmentRules
  ) {
    self.rate = rate
    self.channels = channels
    self.detector = detector
    codec = first.sampleCodec
    source = SourcePlace(first, rate: rate)
    isInParts = first.part != nil
    span = SpeechSpan(rules: rules)
    buffer = SampleBuffer(channels: channels)
    cutter = PartCutter(limit: partFrames(rate: rate, channels: channels), channels: channels)
    self.first = first
  }

  var hasOutput: Bool { nextPart > 0 }

  mutating func add(_ record: Record) throws -> [Record] {
    let samples = try record.samples()
    guard try record.statedRate() == rate, samples.count == channels else {
      throw Failure.partsDisagree(record.id)
    }
    source.see(record)
    var template = record
    template.arrays["audio"] = nil
    templates.append((buffer.end, template))
    buffer.append(samples)
    return try take(detector.process(mono(samples)))
  }

  mutating func end() throws -> [Record] {
    var outputs = try take(detector.finish())
    guard let kept else { return [] }
    let last = cutter.finish()
    if !(last.first ?? []).isEmpty {
      // Untouched in one piece: the very record that came.
      let isWhole =
        !isInParts && nextPart == 0 && kept == 0 && place + (last.first?.count ?? 0) == buffer.end
      outputs.append(try output(last, isLast: true, isWhole: isWhole))
    }
    return outputs
  }

  private mutating func take(_ frames: [SpeechDetector.Frame]) throws -> [Record] {
    span.process(frames)
    decided += frames.count
    guard let start = span.start else {
      buffer.drop(before: detector.sample(ofFrame: span.earliestStart))
      return []
    }
    if kept == nil {
      kept = detector.sample(ofFrame: start)
      place = detector.sample(ofFrame: start)
      buffer.drop(before: place)
      first = nil
      // Parts that went whole leave only the texts of the first one.
      let begin = templates.lastIndex { $0.start <= place } ?? 0
      if begin > 0 { templates.removeSubrange(1...begin) }
    }
    let sure = max(span.end, decided - Self.heldSeconds * SpeechDetector.frameRate)
    let end = min(buffer.end, detector.sample(ofFrame: sure))
    guard end > buffer.start else { return [] }
    let samples = buffer.samples(buffer.start..<end)
    buffer.drop(before: end)
    return try cutter.add(samples).map { try output($0, isLast: false, isWhole: false) }
  }

  private mutating func output(
    _ samples: [[Float]], isLast: Bool, isWhole: Bool
  ) throws -> Record {
    let range = place..<place + (samples.first?.count ?? 0)
    var record = template()
    try record.setSamples(samples, rate: rate, codec: codec)
    if !isWhole {
      record.dropDerived()
      source.mark(&record, range)
      if let kept, kept > 0, nextPart == 0 { try record.shiftWords(by: -Float(kept) / Float(rate)) }
    }
    place = range.upperBound
    number(&record, isLast: isLast)
    return record
  }

  private mutating func number(_ record: inout Record, isLast: Bool) {
    let isAlone = isLast && nextPart == 0
    record.part = isAlone ? nil : nextPart
    record.metadata["part_last"] = nil
    if isLast, !isAlone { record.isLastPart = true }
    nextPart += 1
  }

  /// The first part for the first output; then the part that the output begins in, its arrays once.
  private mutating func template() -> Record {
    guard nextPart > 0 else { return templates.first?.record ?? Record(id: "") }
    let index = templates.lastIndex { $0.start <= place } ?? 0
    templates.removeSubrange(..<index)
    guard let start = templates.first?.start, var record = templates.first?.record else {
      return Record(id: "")
    }
    templates[0].record.arrays = [:]
    if start == 0 {
      record.arrays = [:]
      record.text = nil
    }
    return record
  }

  mutating func giveUp() throws -> [Record] {
    guard failure == nil else { return [] }
    failure = "an earlier part was rejected"
    let last = cutter.finish()
    guard !(last.first ?? []).isEmpty else { return [] }
    var record = try output(last, isLast: false, isWhole: false)
    record.isLastPart = false
    return [record]
  }

  mutating func rejected(_ record: Record, _ reason: String?) -> Record {
    var record = record
    if let reason, !record.isRejected { record.reject("tts-vad: \(reason)") }
    record.part = nextPart
    nextPart += 1
    return record
  }

  mutating func silence(_ reason: String) -> Record {
    var record = first ?? templates.first?.record ?? Record(id: "")
    record.part = nil
    record.metadata["part_last"] = nil
    record.reject("tts-vad: \(reason)")
    nextPart += 1
    return record
  }
}
