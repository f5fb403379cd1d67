public import Base

/// Who stopped a stream before its end, and why.
public struct Abort: Sendable, Equatable {
  /// The tool that failed.
  public var stage: String
  /// Its exit code, 1 to 255.
  public var code: Int32
  /// Its message, one line.
  public var message: String

  /// An abort.
  public init(stage: String, code: Int32, message: String) {
    self.stage = stage
    self.code = code
    self.message = message
  }

  /// The failure as its message line told it.
  public init(_ failure: Failure, stage: String) {
    self.init(stage: stage, code: failure.kind.rawValue, message: failure.description)
  }

  /// What whoever reads the stream throws: the original code and message.
  public var failure: Failure {
    Failure(.init(rawValue: code), subject: stage, problem: message)
  }
}

/// What stands at the end of a segment: whether it is whole, and what it holds.
public struct Trailer: Sendable, Equatable {
  /// How the segment ended.
  public enum Status: Sendable, Equatable {
    /// All that should be in it is in it.
    case ok
    /// Its maker, or one before it, failed.
    case abort(Abort)
  }
  /// How the segment ended.
  public var status: Status
  /// Counts, digests and durations.
  public var tally: Tally
  /// SHA-256 over the record hashes in order.
  public var orderedDigest: SHA256Digest
  /// Records in each block: ordinal to block.
  public var recordsPerBlock: [Int]
  /// The any-order digest of the input that the segment was made from.
  public var from: SHA256Digest?

  /// A trailer.
  public init(
    status: Status, tally: Tally, orderedDigest: SHA256Digest, recordsPerBlock: [Int],
    from: SHA256Digest?
  ) {
    self.status = status
    self.tally = tally
    self.orderedDigest = orderedDigest
    self.recordsPerBlock = recordsPerBlock
    self.from = from
  }

  /// Whether the segment is whole.
  public var isOK: Bool { status == .ok }

  /// The trailer as JSON.
  public var json: JSON {
    var members: [String: JSON] = [
      "bytes": .integer(Int64(tally.bytes)),
      "digest": .string(orderedDigest.description),
      "digest_any_order": .string(tally.digest.description),
      "frames": .object(tally.frames.mapValues { .integer(Int64($0)) }),
      "ids_any_order": .string(tally.ids.description),
      "records": .integer(Int64(tally.records)),
      "records_per_block": .array(recordsPerBlock.map { .integer(Int64($0)) }),
      "rejected": .integer(Int64(tally.rejected)),
      "samples": .object(
        Dictionary(
          uniqueKeysWithValues: tally.samples.map { (String($0), .integer(Int64($1))) })),
    ]
    switch status {
    case .ok: members["status"] = "ok"
    case .abort(let abort):
      members["status"] = "abort"
      members["abort"] = [
        "code": .integer(Int64(abort.code)), "message": .string(abort.message),
        "stage": .string(abort.stage),
      ]
    }
    if let from { members["from"] = .string(from.description) }
    return .object(members)
  }

  /// - Returns: nil when the JSON is something else than a trailer.
  init?(_ json: JSON) {
    func digest(_ key: String) -> SHA256Digest? {
      json[key]?.string.flatMap { SHA256Digest(hexadecimal: $0) }
    }
    func counts(_ elements: some Collection<JSON>) -> [Int]? {
      let values = elements.compactMap(\.integer).filter { $0 >= 0 }
      return values.count == elements.count ? values : nil
    }
    guard let ordered = digest("digest"), let anyOrder = digest("digest_any_order"),
      let ids = digest("ids_any_order"), let records = json["records"]?.integer,
      let rejected = json["rejected"]?.integer, let bytes = json["bytes"]?.integer,
      let blocks = json["records_per_block"]?.array, let perBlock = counts(blocks),
      let samples = json["samples"]?.object, counts(samples.values) != nil,
      let frames = json["frames"]?.object, counts(frames.values) != nil,
      records >= 0, rejected >= 0, bytes >= 0
    else { return nil }
    switch json["status"]?.string {
    case "ok": status = .ok
    case "abort":
      guard let stage = json["abort"]?["stage"]?.string,
        let code = json["abort"]?["code"]?.integer, (1...255).contains(code),
        let message = json["abort"]?["message"]?.string
      else { return nil }
      status = .abort(Abort(stage: stage, code: Int32(code), message: message))
    default: return nil
    }
    tally = Tally()
    tally.records = records
    tally.rejected = rejected
    tally.bytes = bytes
    tally.digest = anyOrder
    tally.ids = ids
    for (rate, count) in samples {
      guard let key = Int(rate), key > 0 else { return nil }
      tally.samples[key] = count.integer
    }
    tally.frames = frames.compactMapValues(\.integer)
    orderedDigest = ordered
    recordsPerBlock = perBlock
    from = digest("from")
    guard (from == nil) == (json["from"] == nil) else { return nil }
  }
}
