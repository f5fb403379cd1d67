public import Base
public import Records

/// The records of all operands, one after another, for a tool that consumes them (training, shards).
///
/// A thread reads ahead, within bounds, so that a signal ends the wait for a slow upstream. `next()`
/// throws where the input is damaged, cut short or the upstream tool failed; parts of an id are
/// contiguous, in order and complete. Use it from one thread.
public final class RecordInput {
  private enum Item {
    case record(Record, path: String, line: Int?, header: StreamHeader, size: Int)
    case end(digest: SHA256Digest)
    case failure(any Error, Abort?)
  }

  private struct Queue {
    var items: [Item] = []
    var bytes = 0
    var isStopped = false

    /// Takes about a megabyte: a slice keeps all of its items until the last was used.
    mutating func take() -> ArraySlice<Item> {
      var size = 0
      let end = items.firstIndex {
        guard size < 1 << 20 else { return true }
        if case .record(_, _, _, _, let bytes) = $0 { size += bytes }
        return false
      }
      let taken = items.prefix(upTo: end ?? items.endIndex)
      items.removeFirst(taken.count)
      bytes -= size
      return ArraySlice(Array(taken))
    }
  }

  private let queue = Monitor(Queue())
  private var ready: ArraySlice<Item> = []
  private var isOver = false

  /// The file that the last record came from; "standard input" for `-`.
  public private(set) var path = "standard input"
  /// The number of the line that the last record came from, in an input of text.
  public private(set) var line: Int?
  /// The header above the last record. It can change from record to record, where streams of
  /// different origin were joined.
  public private(set) var header = StreamHeader()
  /// The abort that an upstream tool wrote, when `next()` threw because of it.
  public private(set) var upstreamAbort: Abort?
  /// After the last record: the sum of the digests in any order of all that was read.
  public private(set) var digest = SHA256Digest.zero

  /// The operands of a command line.
  ///
  /// - Throws: `noInput` if one of them cannot be read, before anything is.
  public convenience init(_ options: InputOptions, form: InputForm = .records) throws {
    try self.init(paths: options.paths(), form: form)
  }

  /// Files in order; "-" is standard input.
  ///
  /// - Parameter form: what the inputs may be.
  public init(paths: [String], form: InputForm = .records) throws {
    let cursor = try RecordCursor(paths: paths, form: form)
    let queue = queue
    Interruption.onRequest { queue.wake() }
    startThread(named: "reader") { Self.read(cursor, into: queue) }
  }

  deinit { queue.withLock { $0.isStopped = true } }

  private static func read(_ cursor: RecordCursor, into queue: Monitor<Queue>) {
    func put(_ item: Item, size: Int = 0) -> Bool {
      queue.wait { queue in
        if queue.isStopped { return false }
        guard queue.items.isEmpty || queue.bytes + size <= 16 << 20 else { return nil }
        queue.items.append(item)
        queue.bytes += size
        return true
      }
    }
    do {
      while let record = try cursor.next() {
        let size = record.byteCount
        let item = Item.record(
          record, path: cursor.path, line: cursor.line, header: cursor.header, size: size)
        guard put(item, size: size) else { return }
      }
      _ = put(.end(digest: cursor.digest))
    } catch {
      _ = put(.failure(error, cursor.upstreamAbort))
    }
  }

  /// The next record; nil at the end of the last file.
  ///
  /// - Throws: what reading threw, or `interrupted` after a signal.
  public func next() throws -> Record? {
    guard !isOver else { return nil }
    if ready.isEmpty {
      ready = try queue.wait { queue in
        try Interruption.check()
        guard !queue.items.isEmpty else { return nil }
        return queue.take()
      }
    }
    guard let item = ready.popFirst() else { return nil }
    switch item {
    case .record(let record, let path, let line, let header, _):
      self.path = path
      self.line = line
      self.header = header
      return record
    case .end(let digest):
      self.digest = digest
      isOver = true
      return nil
    case .failure(let error, let abort):
      isOver = true
      upstreamAbort = abort
      throw error
    }
  }
}
