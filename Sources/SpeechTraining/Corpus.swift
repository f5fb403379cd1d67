public import Base
public import ModelInterface
public import Records
import Tensors
import Text

/// What shards hold to learn from: an index of utterances; their data is read when it is needed.
public struct Corpus: Sendable {
  /// One utterance: where its records are and how long it is.
  struct Utterance: Sendable {
    var file: Int32
    /// Of its first record.
    var ordinal: Int32
    var parts: Int32
    var frames: Int32
    var tokens: Int32
    /// Its speaker's number; -1 when nobody said who speaks.
    var speaker: Int32
  }

  /// A part of the corpus with a share of its own.
  public struct Source: Sendable {
    /// Its files or patterns of files.
    public var name: String
    /// Frames in all.
    public var frames: Int
    /// Its share of the samples.
    public var share: Double
    /// Its utterances.
    public var utterances: Range<Int>
  }

  /// The files, in order.
  public let paths: [String]
  /// Mean of each latent channel over all frames.
  public let mean: [Float]
  /// Unbiased standard deviation of each latent channel over all frames.
  public let deviation: [Float]
  /// Frames in all.
  public let frames: Int
  /// How many utterances were left out, by reason, and how many were cut.
  public let leftOut: [String: Int]
  /// The utterances that were cut to the longest length.
  public let cut: Int
  /// The utterances that can be cut into a voice prompt and a target.
  public let cuttable: Int
  /// The utterances whose records do not have the text that their tokens were made from.
  public let textless: Int
  /// The parts that have a share of their own in the training; one where no weights were given.
  public let sources: [Source]
  /// The digest of the content in order and of its division into sources, wherever the files lie.
  public let digest: SHA256Digest
  /// Records in all files.
  public let records: Int
  /// The stages that the records came from.
  public let header: StreamHeader
  let utterances: [Utterance]
  let speakers: [[Int32]]
  let rules: ExampleRules
  /// Which source a sample comes from.
  let mix: SourceMix
  /// The voices whose references are the prompts; nil where prompts come from the corpus itself.
  public let voices: VoiceBank?
  /// The reference of each speaker by its number.
  let references: [Tensor?]

  /// The number of utterances.
  public var count: Int { utterances.count }
  /// The number of named speakers.
  public var speakerCount: Int { speakers.count }

  /// Reads all shards once, checking everything on the way.
  ///
  /// - Parameters:
  ///   - operands: files or patterns of files, each with a weight behind a colon or without; those
  ///     without are one source together.
  ///   - maxSeconds: longer utterances are left out, or cut where the times of words are known.
  ///   - voices: references that are the prompts; all speakers must have one. What is one of them itself is
  ///     left out.
  ///   - name: what the corpus is called in messages.
  ///   - onRecord: called with the number of records read so far; may throw to stop.
  public init(
    _ operands: [String], for trainable: any Trainable, maxSeconds: Double,
    voices: VoiceBank? = nil, name: String,
    onRecord: (Int) throws -> Void
  ) throws {
    let rules = ExampleRules(
      latents: LatentForm(of: trainable),
      maxFrames: max(1, Int(maxSeconds * trainable.frameRate)), tokenizer: trainable.tokenizer)
    let named = CorpusSource.all(operands)
    let mix = try SourceMix(weights: named.map { try $0.millionths() })
    let files = try named.map { try $0.files() }
    let paths = files.flatMap { $0 }
    var seen = Set<String>()
    for path in paths where !seen.insert(path).inserted { throw Failure.givenTwice(path) }
    try ShardManifest.check(paths)
    var index = CorpusIndex(rules: rules, voices: voices)
    var sources: [Source] = []
    var digests: [SHA256Digest] = []
    for (number, source) in named.enumerated() {
      let (first, firstFrame, leftOut) = (index.count, index.statistics.count, index.leftOut)
      var own: [SHA256Digest] = []
      for path in files[number] { own += try index.read(path, onRecord) }
      guard index.count > first else {
        let own = index.leftOut.merging(leftOut) { $0 - $1 }.filter { $0.value > 0 }
        throw Failure.nothingToLearn(named.count == 1 ? name : source.name, leftOut: own)
      }
      digests.append(SHA256Digest(of: own.flatMap(\.bytes)))
      sources.append(
        Source(
          name: source.name, frames: index.statistics.count - firstFrame,
          share: mix.share(of: number), utterances: first..<index.count))
    }
    if let first = index.firstVoiceless {
      throw Failure.noReference(
        name, speaker: first.speaker, record: first.id, count: index.voiceless)
    }
    self.paths = paths
    self.rules = rules
    self.mix = mix
    self.voices = voices
    references = index.references
    self.sources = sources
    digest = digests.count == 1 ? digests[0] : SHA256Digest(of: digests.flatMap(\.bytes))
    header = StreamHeader.merging(index.headers)
    records = index.records
    utterances = index.utterances
    speakers = index.speakers
    leftOut = index.leftOut
    cut = index.cut
    cuttable = index.cuttable
    textless = index.textless
    frames = index.statistics.count
    (mean, deviation) = index.statistics.result()
  }

  /// Refuses options for which the records do not have what is needed.
  ///
  /// - Parameter name: what the corpus is called in messages.
  public func check(_ options: ExampleOptions, name: String) throws {
    if options.prompts == .cut, options.promptSeconds > 0, cuttable == 0 {
      throw Failure.nothingToCut(name)
    }
    if options.periodDropout > 0, textless > 0 { throw Failure.noText(name, count: textless) }
  }

  /// The weights of the sources in lowest terms.
  var weights: String {
    sources.count == 1
      ? "no weights" : "weights " + mix.weights.map(String.init).joined(separator: " ")
  }
}

/// The index while it grows.
private struct CorpusIndex {
  let rules: ExampleRules
  let voices: VoiceBank?
  var utterances: [Corpus.Utterance] = []
  var speakers: [[Int32]] = []
  var references: [Tensor?] = []
  /// Utterances without a voice of the bank, and the first of them.
  var voiceless = 0
  var firstVoiceless: (id: String, speaker: String?)?
  var leftOut: [String: Int] = [:]
  var cut = 0
  var cuttable = 0
  var textless = 0
  var records = 0
  var statistics: ChannelStatistics
  var headers: [StreamHeader] = []
  private var files = 0
  private var speakerNumbers: [String: Int32] = [:]
  private var parts = PartCollector()

  var count: Int { utterances.count }

  init(rules: ExampleRules, voices: VoiceBank?) {
    self.rules = rules
    self.voices = voices
    statistics = ChannelStatistics(width: rules.latents.width)
  }

  /// Reads a file; gives the digests of its segments.
  mutating func read(
    _ path: String, _ onRecord: (Int) throws -> Void
  ) throws -> [SHA256Digest] {
    let reader = try RecordReader(path: path)
    var segment = -1
    var ordinal = 0
    while let record = try reader.next() {
      if reader.segment != segment {
        segment = reader.segment
        try rules.check(reader.header, file: path)
        headers.append(reader.header)
      }
      try add(record, ordinal: ordinal, path: path)
      ordinal += 1
      try onRecord(records)
    }
    try parts.finish(file: path)
    files += 1
    return reader.trailers.map(\.orderedDigest)
  }

  /// Counts a record; an utterance is complete with its last part.
  private mutating func add(_ record: Record, ordinal: Int, path: String) throws {
    records += 1
    guard let parts = try parts.add(record, file: path) else { return }
    let material: Material
    do {
      material = try rules.material(of: parts, file: path)
      if let speaker = parts[0].speaker, voices?.isReference(material.latents, of: speaker) == true
      {
        throw LeftOut.reference
      }
    } catch let reason as LeftOut {
      leftOut[reason.rawValue, default: 0] += 1
      return
    }
    if material.isCut { cut += 1 }
    if !material.cuts(frameRate: rules.frameRate, window: .infinity).isEmpty { cuttable += 1 }
    if material.text == nil { textless += 1 }
    statistics.add(material.latents)
    let number = Int32(utterances.count)
    var speaker: Int32 = -1
    if let name = parts[0].speaker {
      speaker = speakerNumbers[name] ?? Int32(speakers.count)
      if speaker == speakers.count {
        speakerNumbers[name] = speaker
        speakers.append([])
        references.append(voices?.references[name])
      }
      speakers[Int(speaker)].append(number)
    }
    if voices != nil, speaker < 0 || references[Int(speaker)] == nil {
      voiceless += 1
      if firstVoiceless == nil { firstVoiceless = (parts[0].id, parts[0].speaker) }
    }
    utterances.append(
      Corpus.Utterance(
        file: Int32(files), ordinal: Int32(ordinal + 1 - parts.count), parts: Int32(parts.count),
        frames: Int32(material.latents.rows), tokens: Int32(material.tokens.count),
        speaker: speaker))
  }
}

/// Mean and deviation of channels, in double precision.
struct ChannelStatistics {
  private(set) var count = 0
  private var sums: [Double]
  private var squares: [Double]
  /// The first frame: sums are taken relative to it, so that nothing cancels.
  private var origin: [Double] = []

  init(width: Int) {
    sums = Array(repeating: 0, count: width)
    squares = sums
  }

  mutating func add(_ frames: Tensor) {
    let width = sums.count
    frames.withValues { values in
      if origin.isEmpty { origin = values.prefix(width).map(Double.init) }
      var channel = 0
      for value in values {
        let difference = Double(value) - origin[channel]
        sums[channel] += difference
        squares[channel] += difference * difference
        channel = channel + 1 == width ? 0 : channel + 1
      }
    }
    count += frames.rows
  }

  func result() -> (mean: [Float], deviation: [Float]) {
    guard count > 0 else {
      return (sums.map { _ in 0 }, sums.map { _ in 1 })
    }
    let number = Double(count)
    let mean = zip(sums, origin).map { Float($0 / number + $1) }
    let deviation = zip(sums, squares).map { sum, square in
      // A channel that never changes is left as it is rather than divided by nothing.
      let variance = count > 1 ? max(0, (square - sum * sum / number) / (number - 1)) : 0
      return variance > 1e-12 ? Float(variance.squareRoot()) : 1
    }
    return (mean, deviation)
  }
}

extension LatentForm {
  /// The latents that a model learns to make.
  public init(of trainable: any Trainable) {
    self.init(
      width: trainable.latentWidth, frameRate: trainable.frameRate,
      codecDigest: trainable.codecDigest)
  }
}

extension ExampleRules {
  /// Refuses latents of another codec and tokens of another tokenizer, where the stream says so.
  fileprivate func check(_ header: StreamHeader, file: String) throws {
    try latents.check(header, file: file)
    guard header.agrees(on: tokenizer.digest, of: "tts-tokenize") else {
      throw Failure.otherModel("tokens", tool: "tts-tokenize", file: file)
    }
  }
}

extension StreamHeader {
  /// The stages of a tool whose output no other stage of the same tool went over.
  ///
  /// Decoding, which `tts-mimi-encode` can do too, makes no latents.
  func latest(of tool: String) -> [Stage] {
    let own = stages.filter { $0.tool == tool && $0.parameters["decode"] != "true" }
    let byID = Dictionary(stages.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    var older = Set<String>()
    var waiting = own.flatMap(\.parents)
    while let id = waiting.popLast() {
      guard older.insert(id).inserted, let stage = byID[id] else { continue }
      waiting += stage.parents
    }
    return own.filter { !older.contains($0.id) }
  }
}
