public import Base

/// What can be said of records in any order: counts, digests and durations that add up.
///
/// The tallies of a split, a shuffle or a merge are the sums of those of the parts.
public struct Tally: Sendable, Equatable {
  /// Records.
  public var records = 0
  /// Of these, marked as not to be used.
  public var rejected = 0
  /// Bytes of all encoded records.
  public var bytes = 0
  /// The sum of the record hashes modulo 2^256: same records, any order.
  public var digest = SHA256Digest.zero
  /// The sum of the hashes of the ids modulo 2^256: same utterances, whatever was done to them.
  public var ids = SHA256Digest.zero
  /// Samples a channel of all `audio`, by `sample_rate`.
  public var samples: [Int: Int] = [:]
  /// Frames of all `latents`, by `frame_rate` as it is written.
  public var frames: [String: Int] = [:]

  /// The tally of nothing.
  public init() {}

  /// Different rates that are told apart; more are refused.
  static let rateLimit = 1000

  /// The tally of two sets of records.
  public static func + (left: Tally, right: Tally) -> Tally {
    var sum = left
    sum += right
    return sum
  }

  /// Adds the tally of other records.
  public static func += (sum: inout Tally, other: Tally) {
    sum.records = sum.records.saturatingSum(other.records)
    sum.rejected = sum.rejected.saturatingSum(other.rejected)
    sum.bytes = sum.bytes.saturatingSum(other.bytes)
    sum.digest = sum.digest + other.digest
    sum.ids = sum.ids + other.ids
    sum.samples.merge(other.samples) { $0.saturatingSum($1) }
    sum.frames.merge(other.frames) { $0.saturatingSum($1) }
  }

  /// Counts a record, all but its digests.
  mutating func count(_ record: Record, size: Int) {
    records += 1
    bytes += size
    if record.isRejected { rejected += 1 }
    if let rate = record.sampleRate, rate > 0, let count = record.audioSampleCount {
      samples[rate] = (samples[rate] ?? 0).saturatingSum(count)
    }
    if let rate = record.metadata["frame_rate"], Tally.isPlainDecimal(rate),
      let count = record.latentFrameCount
    {
      frames[rate] = (frames[rate] ?? 0).saturatingSum(count)
    }
  }

  /// Whether a rate is written in digits with at most one point between them, and above 0.
  private static func isPlainDecimal(_ text: String) -> Bool {
    let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    return text.utf8.count <= 32 && parts.count <= 2
      && parts.allSatisfy { part in
        !part.isEmpty && part.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      } && text.utf8.contains { (UInt8(ascii: "1")...UInt8(ascii: "9")).contains($0) }
  }

  /// Seconds of audio at all rates.
  public var seconds: Double {
    samples.sorted { $0.key < $1.key }.reduce(0) { $0 + Double($1.value) / Double($1.key) }
  }

  /// Seconds of latents at all rates.
  public var latentSeconds: Double {
    frames.sorted { $0.key < $1.key }.reduce(0) {
      $0 + Double($1.value) / (Double($1.key) ?? .infinity)
    }
  }
}

extension Int {
  func saturatingSum(_ other: Int) -> Int {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}

/// A sum of digests modulo 2^256, kept in words until it is asked for.
struct DigestSum: Sendable {
  /// Most significant first.
  private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

  mutating func add(_ digest: SHA256Digest) {
    digest.bytes.withUnsafeBytes { bytes in
      func word(_ index: Int) -> UInt64 {
        UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self))
      }
      var carry = false
      func sum(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let (partial, first) = left.addingReportingOverflow(right)
        let (sum, second) = partial.addingReportingOverflow(carry ? 1 : 0)
        carry = first || second
        return sum
      }
      words.3 = sum(words.3, word(3))
      words.2 = sum(words.2, word(2))
      words.1 = sum(words.1, word(1))
      words.0 = sum(words.0, word(0))
    }
  }

  var digest: SHA256Digest {
    let bytes = [words.0, words.1, words.2, words.3].flatMap { word in
      (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) }
    }
    return SHA256Digest(bytes: bytes) ?? .zero
  }
}
