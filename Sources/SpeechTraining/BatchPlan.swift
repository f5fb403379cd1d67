import Base
import Training

/// Which utterances make which micro-batch: computed from its number, so that nothing need be kept
/// to continue.
///
/// Samples follow one another without end. Each comes from a source as the weights say; a source is gone
/// through epoch after epoch, each a permutation of its own. A pool of consecutive samples is sorted
/// by length and cut into batches, which are used in an order of their own.
struct BatchPlan: Sendable {
  /// One sample: its place in the endless sequence and the utterance there.
  struct Sample: Sendable, Equatable {
    var position: Int
    var utterance: Int
  }

  private let seed: UInt64
  private let batch: Int
  private let pool: Int
  private let lengths: [Int32]
  private let sources: [Range<Int>]
  private let mix: SourceMix

  /// - Parameters:
  ///   - lengths: of all utterances.
  ///   - sources: the utterances of each source; one source of all where there are none.
  ///   - mix: of the sources.
  ///   - batch: samples in a batch.
  ///   - pool: batches in a pool; fewer where the corpus has fewer.
  init(
    lengths: [Int32], sources: [Range<Int>] = [], mix: SourceMix = SourceMix(weights: [1]),
    batch: Int, pool: Int, seed: UInt64
  ) {
    self.seed = seed
    self.batch = batch
    self.pool = max(1, min(pool, lengths.count / batch))
    self.lengths = lengths
    self.sources = sources.isEmpty ? [lengths.indices] : sources
    self.mix = mix
  }

  /// The plan of a corpus. A row is about as long as its frames and tokens.
  init(_ corpus: Corpus, _ options: TrainingOptions) {
    self.init(
      lengths: corpus.utterances.map { $0.frames + $0.tokens },
      sources: corpus.sources.map(\.utterances), mix: corpus.mix, batch: options.batch,
      pool: options.bucketBatches, seed: options.run.seed)
  }

  /// The samples of a micro-batch, counted from 0.
  func batch(_ index: Int) -> [Sample] {
    let (number, place) = index.quotientAndRemainder(dividingBy: pool)
    let sorted = samples(from: number * pool * batch, count: pool * batch).sorted {
      (lengths[$0.utterance], $0.position) < (lengths[$1.utterance], $1.position)
    }
    let turn = Permutation(count: pool, seed: seed, name: "pool \(number)")[place]
    return Array(sorted[turn * batch..<(turn + 1) * batch])
  }

  private func samples(from first: Int, count: Int) -> [Sample] {
    // The epoch of each source and its order.
    var orders: [Int: (epoch: Int, permutation: Permutation)] = [:]
    return (first..<first + count).map { position in
      let (source, ordinal) = mix[position]
      let utterances = sources[source]
      let (epoch, offset) = ordinal.quotientAndRemainder(dividingBy: utterances.count)
      let permutation: Permutation
      if let order = orders[source], order.epoch == epoch {
        permutation = order.permutation
      } else {
        let name = source == 0 ? "epoch \(epoch)" : "source \(source) epoch \(epoch)"
        permutation = Permutation(count: utterances.count, seed: seed, name: name)
        orders[source] = (epoch, permutation)
      }
      return Sample(position: position, utterance: utterances.lowerBound + permutation[offset])
    }
  }
}
