import Base
import ModelInterface
import Records
import Tensors

/// Reads the examples of batches. What was read is kept as long as there is room, so that a small
/// corpus is read once.
final class ExampleLoader: Sendable {
  private struct Kept {
    var materials: [Int: Material] = [:]
    var bytes = 0
    var files: [Int32: RecordFile] = [:]
  }

  private let corpus: Corpus
  private let promptFrames: Int
  private let kept = Locked(Kept())

  /// Bytes of materials that are kept: about 40 hours.
  private static let keptBytes = 256 << 20
  /// Files that are kept open.
  private static let openFiles = 128

  /// - Parameter promptSeconds: the longest voice prompt.
  init(_ corpus: Corpus, promptSeconds: Double) {
    self.corpus = corpus
    promptFrames = max(0, Int(promptSeconds * corpus.rules.frameRate))
  }

  /// The examples of some samples.
  ///
  /// - Parameters:
  ///   - seed: of the choice of voice prompts.
  ///   - variesPrompts: whether a prompt may be shorter than it could be, as in training.
  func examples(
    _ samples: [BatchPlan.Sample], seed: UInt64, variesPrompts: Bool
  ) throws -> [TrainingExample] {
    try samples.map { sample in
      let material = try material(sample.utterance)
      let voice = try prompt(sample, seed: seed, varies: variesPrompts)
      return TrainingExample(latents: material.latents, voice: voice, tokens: material.tokens)
    }
  }

  /// The beginning of another utterance of the same speaker; never a piece of the target itself,
  /// from which a model would learn to copy.
  private func prompt(_ sample: BatchPlan.Sample, seed: UInt64, varies: Bool) throws -> Tensor? {
    let speaker = corpus.utterances[sample.utterance].speaker
    guard promptFrames > 0, speaker >= 0 else { return nil }
    let others = corpus.speakers[Int(speaker)]
    guard others.count > 1 else { return nil }
    var random = RandomNumbers(seed: seed, name: "prompt \(sample.position)")
    // The target stands at one of the places; the draw is among the others.
    var place = random.index(below: others.count - 1)
    if let own = others.sortedIndex(of: Int32(sample.utterance)), place >= own {
      place += 1
    }
    let latents = try material(Int(others[place])).latents
    let longest = min(promptFrames, latents.rows)
    let shortest = min(longest, max(1, Int(corpus.rules.frameRate)))
    let frames =
      varies ? shortest + random.index(below: longest - shortest + 1) : longest
    return latents.rows(0..<frames)
  }

  private func material(_ number: Int) throws -> Material {
    if let material = kept.withLock({ $0.materials[number] }) { return material }
    let utterance = corpus.utterances[number]
    let path = corpus.paths[Int(utterance.file)]
    let file = try open(utterance.file, path)
    let first = Int(utterance.ordinal)
    let records = try (first..<first + Int(utterance.parts)).map { try file.read($0) }
    let material: Material
    do {
      material = try corpus.rules.material(of: records, file: path)
    } catch is LeftOut {
      throw Failure.changedWhileReading(record: records.first?.id ?? "", file: path)
    }
    guard material.latents.rows == Int(utterance.frames),
      material.tokens.count == Int(utterance.tokens)
    else { throw Failure.changedWhileReading(record: records.first?.id ?? "", file: path) }
    let bytes = 4 * (material.latents.count + material.tokens.count) + 128
    kept.withLock { kept in
      guard kept.materials[number] == nil, kept.bytes + bytes <= Self.keptBytes else { return }
      kept.materials[number] = material
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
