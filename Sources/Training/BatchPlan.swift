import Base

/// Which utterances make which micro-batch: computed from its number, so that nothing need be kept
/// to continue.
///
/// Samples follow one another without end, epoch after epoch, each a permutation of its own. A pool
/// of consecutive samples is sorted by length and cut into batches, which are used in an order of
/// their own.
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

  /// - Parameters:
  ///   - lengths: of all utterances.
  ///   - batch: samples in a batch.
  ///   - pool: batches in a pool; fewer where the corpus has fewer.
  init(lengths: [Int32], batch: Int, pool: Int, seed: UInt64) {
    self.seed = seed
    self.batch = batch
    self.pool = max(1, min(pool, lengths.count / batch))
    self.lengths = lengths
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
    var epoch = -1
    var permutation = Permutation(count: lengths.count, seed: seed, name: "")
    return (first..<first + count).map { position in
      let (number, offset) = position.quotientAndRemainder(dividingBy: lengths.count)
      if number != epoch {
        epoch = number
        permutation = Permutation(count: lengths.count, seed: seed, name: "epoch \(number)")
      }
      return Sample(position: position, utterance: permutation[offset])
    }
  }
}
