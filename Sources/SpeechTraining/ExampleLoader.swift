import Base
import ModelInterface
import Records
import Tensors
import Text

/// Reads the examples of batches. What was read is kept as long as there is room, so that a small
/// corpus is read once.
final class ExampleLoader: Sendable {
  private struct Kept {
    var materials: [Int: Material] = [:]
    var bytes = 0
    var files: [Int32: RecordFile] = [:]
  }

  private let corpus: Corpus
  private let options: ExampleOptions
  private let frameRate: Double
  /// Frames of the longest voice prompt.
  private let promptFrames: Int
  private let kept = Locked(Kept())

  /// Bytes of materials that are kept: about 40 hours.
  private static let keptBytes = 256 << 20
  /// Files that are kept open.
  private static let openFiles = 128

  init(_ corpus: Corpus, _ options: ExampleOptions) {
    self.corpus = corpus
    self.options = options
    frameRate = corpus.rules.frameRate
    promptFrames = max(0, Int(options.promptSeconds * frameRate))
  }

  /// The examples of some samples.
  ///
  /// - Parameters:
  ///   - seed: of all that is chosen: prompts, cuts, what is left out.
  ///   - variesPrompts: whether the prompt from another utterance may be shorter than it could be, as
  ///     in training.
  func examples(
    _ samples: [BatchPlan.Sample], seed: UInt64, variesPrompts: Bool
  ) throws -> [TrainingExample] {
    try samples.map { try example($0, seed: seed, variesPrompts: variesPrompts) }
  }

  private func example(
    _ sample: BatchPlan.Sample, seed: UInt64, variesPrompts: Bool
  ) throws -> TrainingExample {
    var target = try material(sample.utterance)
    var voice: Tensor?
    var random = RandomNumbers(seed: seed, name: "prompt \(sample.position)")
    switch options.prompts {
    case .speaker:
      voice = try otherVoice(sample.utterance, varies: variesPrompts, &random)
    case .cut:
      if promptFrames > 0 { (voice, target) = try divided(target, &random) }
    case .auto:
      voice = try otherVoice(sample.utterance, varies: variesPrompts, &random)
      if voice == nil, promptFrames > 0 { (voice, target) = try divided(target, &random) }
    case .bank:
      voice = reference(for: sample.utterance, varies: variesPrompts, &random)
      target.latents = target.latents.rows(0..<target.speechFrames(frameRate: frameRate))
    }
    if let whole = voice { voice = trimmed(whole, &random) }
    var period = RandomNumbers(seed: seed, name: "period \(sample.position)")
    if options.periodDropout > 0, period.uniform() < options.periodDropout {
      try dropPeriod(&target)
    }
    return TrainingExample(latents: target.latents, voice: voice, tokens: target.tokens)
  }

  // MARK: Voice prompts

  /// The shortest prompt that is made where there is more: a second.
  private var leastFrames: Int { max(1, Int(frameRate)) }

  /// The beginning of another utterance of the same speaker; never a piece of the target itself,
  /// from which a model would learn to copy.
  private func otherVoice(
    _ utterance: Int, varies: Bool, _ random: inout RandomNumbers
  ) throws -> Tensor? {
    let speaker = corpus.utterances[utterance].speaker
    guard promptFrames > 0, speaker >= 0 else { return nil }
    let others = corpus.speakers[Int(speaker)]
    guard others.count > 1 else { return nil }
    // The target stands at one of the places; the draw is among the others.
    var place = random.index(below: others.count - 1)
    if let own = others.sortedIndex(of: Int32(utterance)), place >= own {
      place += 1
    }
    let latents = try material(Int(others[place])).latents
    let longest = min(promptFrames, latents.rows)
    let shortest = min(longest, leastFrames)
    let frames =
      varies ? shortest + random.index(below: longest - shortest + 1) : longest
    return latents.rows(0..<frames)
  }

  /// The beginning of the reference of the utterance's speaker, at times a shorter one.
  private func reference(
    for utterance: Int, varies: Bool, _ random: inout RandomNumbers
  ) -> Tensor? {
    let speaker = corpus.utterances[utterance].speaker
    guard promptFrames > 0, speaker >= 0, let whole = corpus.references[Int(speaker)] else {
      return nil
    }
    let longest = min(promptFrames, whole.rows)
    let shortest = min(longest, max(1, Int(VoiceBank.shortestCrop * frameRate)))
    let isCropped = varies && random.uniform() < VoiceBank.cropShare
    return whole.rows(
      0..<(isCropped ? shortest + random.index(below: longest - shortest + 1) : longest))
  }

  /// An utterance cut between two words: its beginning as the prompt, the rest as the target, which ends
  /// soon after its last word. Where no cut is possible the target is all of it, without a prompt: any
  /// other piece of it would be a piece of the target.
  private func divided(
    _ material: Material, _ random: inout RandomNumbers
  ) throws -> (voice: Tensor?, target: Material) {
    let (rows, end) = (material.latents.rows, material.speechFrames(frameRate: frameRate))
    let cuts = material.cuts(frameRate: frameRate, window: options.promptSeconds)
    var target = material
    target.latents = material.latents.rows(0..<end)
    guard let words = material.words, !cuts.isEmpty else { return (nil, target) }
    let cut = cuts[random.index(below: cuts.count)]
    let text = words.text(of: cut.word...)
    let tokens = try corpus.rules.tokenizer.encode(text)
    guard !tokens.isEmpty else { return (nil, target) }
    let frame = min(max(1, Int((cut.time * frameRate).rounded())), rows - 1)
    target.latents = material.latents.rows(frame..<(end > frame ? end : rows))
    target.text = text
    target.tokens = tokens
    return (material.latents.rows(0..<min(frame, promptFrames)), target)
  }

  /// A prompt without up to so much of its end.
  private func trimmed(_ voice: Tensor, _ random: inout RandomNumbers) -> Tensor {
    let most = Int((options.promptTrim * frameRate).rounded())
    guard most > 0 else { return voice }
    let rows = voice.rows - random.index(below: most + 1)
    return voice.rows(0..<max(rows, min(voice.rows, leastFrames)))
  }

  // MARK: Text

  /// Leaves out the final period, so that texts without one are learnt too. Other marks stay: they change
  /// how a sentence is said.
  private func dropPeriod(_ material: inout Material) throws {
    guard var text = material.text else { return }
    while text.last?.isWhitespace == true { text.removeLast() }
    guard text.last == ".", text.count > 1 else { return }
    text.removeLast()
    let tokens = try corpus.rules.tokenizer.encode(text)
    if !tokens.isEmpty { material.tokens = tokens }
  }

  // MARK: Reading

  private func material(_ number: Int) throws -> Material {
    if let material = kept.withLock({ $0.materials[number] }) { return material }
    let utterance = corpus.utterances[number]
    let path = corpus.paths[Int(utterance.file)]
    let file = try open(utterance.file, path)
    let first = Int(utterance.ordinal)
    let records = try (first..<first + Int(utterance.parts)).map { try file.read($0) }
    var material: Material
    do {
      material = try corpus.rules.material(of: records, file: path)
    } catch is LeftOut {
      throw Failure.changedWhileReading(record: records.first?.id ?? "", file: path)
    }
    guard material.latents.rows == Int(utterance.frames),
      material.tokens.count == Int(utterance.tokens)
    else { throw Failure.changedWhileReading(record: records.first?.id ?? "", file: path) }
    if options.prompts == .speaker { material.words = nil }
    if options.periodDropout == 0 { material.text = nil }
    let (read, bytes) = (material, material.bytes)
    kept.withLock { kept in
      guard kept.materials[number] == nil, kept.bytes + bytes <= Self.keptBytes else { return }
      kept.materials[number] = read
      kept.bytes += bytes
    }
    return material
  }

  private func open(_ number: Int32, _ path: String) throws -> RecordFile {
    if let file = kept.withLock({ $0.files[number] }) { return file }
    let file = try RecordFile(path: path)
    return kept.withLock { kept in
      if let file = kept.files[number] { return file }
      if kept.files.count >= Self.openFiles { kept.files.removeAll() }
      kept.files[number] = file
      return file
    }
  }
}

extension Material {
  /// About what it takes in memory.
  fileprivate var bytes: Int {
    let words = words?.words.reduce(0) { $0 + $1.utf8.count + 24 } ?? 0
    return 4 * (latents.count + tokens.count) + (text?.utf8.count ?? 0) + words + 128
  }
}

extension [Int32] {
  /// The place of an element of a sorted array.
  func sortedIndex(of element: Int32) -> Int? {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if self[middle] < element { low = middle + 1 } else { high = middle }
    }
    return low < count && self[low] == element ? low : nil
  }
}
