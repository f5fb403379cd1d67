import Audio
import AudioRecords
import Base
import Records
import Safetensors

/// A recording that becomes one record for each piece of speech.
struct SplitRecording: SpeechRecording {
  private let rate: Int
  private let codec: SampleCodec
  private var source: SourcePlace
  private let channels: Int
  private let words: AlignedWords?
  private var detector: SpeechDetector
  private var segmenter: SpeechSegmenter
  private var buffer: SampleBuffer
  /// The first part without samples: what pieces are made from.
  private let template: Record
  /// The first part as it came, as long as there was no speech.
  private var first: Record?
  private var count = 0
  private(set) var failure: String?

  init(
    first: Record, rate: Int, channels: Int, _ detector: SpeechDetector, _ rules: SegmentRules
  ) {
    self.rate = rate
    self.channels = channels
    self.detector = detector
    self.first = first
    codec = first.sampleCodec
    source = SourcePlace(first, rate: rate)
    words = AlignedWords(first)
    var rules = rules
    let most = partFrames(rate: rate, channels: channels) * SpeechDetector.frameRate / rate
    rules.longest = max(2, min(rules.longest ?? most, most))
    segmenter = SpeechSegmenter(rules: rules)
    buffer = SampleBuffer(channels: channels)
    var template = first
    for name in ["audio", "tokens", "word_starts", "word_ends"] { template.arrays[name] = nil }
    template.dropDerived()
    template.text = nil
    template.part = nil
    template.metadata["part_last"] = nil
    template.metadata["parent"] = first.metadata["parent"] ?? first.id
    self.template = template
  }

  var hasOutput: Bool { count > 0 }

  mutating func add(_ record: Record) throws -> [Record] {
    let samples = try record.samples()
    guard try record.statedRate() == rate, samples.count == channels else {
      throw Failure.partsDisagree(record.id)
    }
    source.see(record)
    buffer.append(samples)
    let ranges = segmenter.process(detector.process(mono(samples)))
    return try outputs(ranges)
  }

  mutating func end() throws -> [Record] {
    let ranges = segmenter.process(detector.finish()) + segmenter.finish()
    return try outputs(ranges)
  }

  private mutating func outputs(_ ranges: [Range<Int>]) throws -> [Record] {
    let records = try ranges.compactMap { frames -> Record? in
      let start = detector.sample(ofFrame: frames.lowerBound)
      let end = min(buffer.end, detector.sample(ofFrame: frames.upperBound))
      return start < end ? try piece(start..<end) : nil
    }
    buffer.drop(before: detector.sample(ofFrame: segmenter.settled))
    return records
  }

  private mutating func piece(_ range: Range<Int>) throws -> Record {
    first = nil
    var record = template
    record.id = nextID()
    try record.setSamples(buffer.samples(range), rate: rate, codec: codec)
    source.mark(&record, range)
    let scale = Double(rate)
    words?.mark(
      &record, Double(range.lowerBound) / scale..<Double(range.upperBound) / scale)
    return record
  }

  private mutating func nextID() -> String {
    count += 1
    let digits = String(count)
    return template.id + "/" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
  }

  mutating func giveUp() throws -> [Record] {
    guard failure == nil else { return [] }
    failure = "an earlier part was rejected"
    return []
  }

  mutating func rejected(_ record: Record, _ reason: String?) -> Record {
    var record = record
    if let reason, !record.isRejected { record.reject("tts-vad: \(reason)") }
    record.metadata["parent"] = record.metadata["parent"] ?? record.id
    record.id = nextID()
    record.part = nil
    record.metadata["part_last"] = nil
    return record
  }

  mutating func silence(_ reason: String) -> Record {
    var record = first ?? template
    record.part = nil
    record.metadata["part_last"] = nil
    record.reject("tts-vad: \(reason)")
    count += 1
    return record
  }
}
