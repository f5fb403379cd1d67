import Base

/// The processes that do one job together; mostly one.
///
/// All make the same calls in the same order, from one thread. What they decide by must be the same in
/// all: what they computed from the same numbers, or what they agreed on here. Each call first tells
/// whether a process has failed: then all throw that failure, so that nobody waits for a process that
/// has gone another way.
public final class ProcessGroup: Sendable {
  private enum State { case together, ended, broken }

  /// This process's number, from 0.
  public let rank: Int
  /// How many processes there are.
  public let size: Int
  private let transport: (any Transport)?
  private let state = Locked(State.together)

  /// One process that works by itself.
  public static let alone = ProcessGroup(nil)

  /// The processes that a transport connects; nil for this one alone.
  public init(_ transport: (any Transport)?) {
    self.transport = transport
    rank = transport?.rank ?? 0
    size = transport?.size ?? 1
  }

  /// The processes that an MPI launcher started together with this one.
  ///
  /// - Throws: `unavailable` when there is a launcher, but no library that works with it.
  public static func launched() throws -> ProcessGroup { ProcessGroup(try MPITransport()) }

  /// Whether this process is the one that writes and speaks.
  public var isRoot: Bool { rank == 0 }

  /// Does the work of this process to its end; a failure of one process is thrown by all.
  public func together(_ body: () throws -> Void) throws {
    do {
      try body()
      try agree()
    } catch {
      // Others know of it, or can no longer be told.
      guard size > 1, state.withLock({ $0 == .together }) else { throw error }
      let failure =
        error as? Failure ?? Failure(.internalFault, problem: "unexpected error: \(error)")
      try agree(stops: false, failure)
      throw error
    }
  }

  /// Leaves the group, at the very end: waits until all do. After a broken connection it ends them
  /// instead.
  public func leave() {
    if state.withLock({ $0 == .broken }) {
      transport?.abort(code: Failure.lostProcess.kind.rawValue)
    } else {
      transport?.leave()
    }
  }

  // MARK: Agreement

  /// Whether any process asks to stop.
  ///
  /// - Parameter stops: whether this one does.
  @discardableResult
  public func agree(stops: Bool = false) throws -> Bool { try agree(stops: stops, nil) }

  @discardableResult
  private func agree(stops: Bool, _ failure: Failure?) throws -> Bool {
    guard let transport else { return stops }
    return try connected {
      let asked = try gather(fixed: [failure != nil ? 2 : stops ? 1 : 0], transport)
      guard let first = asked.firstIndex(of: [2]) else { return asked.contains([1]) }
      let text = try broadcast(failure?.message ?? [], from: first, transport)
      state.withLock { $0 = .ended }
      throw Failure(message: text)
    }
  }

  /// What the root computes, told to all.
  public func fromRoot(_ bytes: () throws -> [UInt8]) throws -> [UInt8] {
    let own = isRoot ? try bytes() : []
    guard let transport else { return own }
    try agree()
    return try connected { try broadcast(own, from: 0, transport) }
  }

  /// A number that the root computes, told to all.
  public func fromRoot(_ number: () throws -> Int) throws -> Int {
    let bytes: [UInt8] = try fromRoot { Self.bytes(of: try number()) }
    return Self.number(bytes)
  }

  /// Bytes of each process, of any length, in the order of ranks.
  public func gather(_ bytes: [UInt8]) throws -> [[UInt8]] {
    guard let transport else { return [bytes] }
    try agree()
    return try connected {
      let lengths = try gather(fixed: Self.bytes(of: bytes.count), transport).map(Self.number)
      let longest = lengths.max() ?? 0
      let padded = bytes + [UInt8](repeating: 0, count: longest - bytes.count)
      return zip(try gather(fixed: padded, transport), lengths).map { Array($0.prefix($1)) }
    }
  }

  /// Refuses processes that differ in something.
  ///
  /// - Parameters:
  ///   - bytes: what must be the same in all, such as a digest.
  ///   - what: what it is of.
  /// - Throws: `configuration` in all processes.
  public func checkSame(_ bytes: [UInt8], _ what: String) throws {
    let all = try gather(bytes)
    guard all.allSatisfy({ $0 == all[0] }) else { throw Failure.unequal(what) }
  }

  // MARK: Sums

  /// Sums floats over all processes, whose number is a power of two, in place: all get the same bits.
  /// The sums go over a fixed binary tree, ((0 + 1) + (2 + 3)) + …
  ///
  /// Each process sums a share of the values (recursive halving), and gets those of the others then.
  ///
  /// - Precondition: nothing that can fail in one process alone lies between the last agreement and this.
  public func sum(_ values: UnsafeMutableBufferPointer<Float>) throws {
    guard let transport, let base = values.baseAddress else { return }
    precondition(size & (size - 1) == 0, "a power of two")
    let received = UnsafeMutablePointer<Float>.allocate(capacity: (values.count + 1) / 2)
    defer { received.deallocate() }
    func exchange(
      _ sent: Range<Int>, for target: UnsafeMutablePointer<Float>, _ count: Int, with peer: Int
    ) throws {
      try transport.exchange(
        UnsafeRawBufferPointer(
          UnsafeBufferPointer(start: base + sent.lowerBound, count: sent.count)),
        for: UnsafeMutableRawBufferPointer(
          UnsafeMutableBufferPointer(start: target, count: count)), with: peer)
    }
    try connected {
      var own = 0..<values.count
      var halves: [(own: Range<Int>, other: Range<Int>)] = []
      var distance = 1
      while distance < size {
        let middle = own.lowerBound + own.count / 2
        let (low, high) = (own.lowerBound..<middle, middle..<own.upperBound)
        let half = rank & distance == 0 ? (own: low, other: high) : (own: high, other: low)
        try exchange(half.other, for: received, half.own.count, with: rank ^ distance)
        for index in 0..<half.own.count { base[half.own.lowerBound + index] += received[index] }
        halves.append(half)
        own = half.own
        distance *= 2
      }
      for half in halves.reversed() {
        distance /= 2
        let whole =
          min(
            half.own.lowerBound, half.other.lowerBound)..<max(
            half.own.upperBound, half.other.upperBound)
        try exchange(
          half.own, for: base + half.other.lowerBound, half.other.count, with: rank ^ distance)
        own = whole
      }
    }
  }

  // MARK: Bytes

  /// Does what needs the others, and remembers when they are lost.
  private func connected<Result>(_ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch {
      state.withLock { if $0 == .together { $0 = .broken } }
      throw error
    }
  }

  private func gather(fixed bytes: [UInt8], _ transport: any Transport) throws -> [[UInt8]] {
    var received = [UInt8](repeating: 0, count: bytes.count * size)
    try bytes.withUnsafeBytes { sent in
      try received.withUnsafeMutableBytes { try transport.gather(sent, into: $0) }
    }
    return (0..<size).map { Array(received[$0 * bytes.count..<($0 + 1) * bytes.count]) }
  }

  private func broadcast(_ own: [UInt8], from root: Int, _ transport: any Transport) throws
    -> [UInt8]
  {
    var length = Self.bytes(of: own.count)
    try length.withUnsafeMutableBytes { try transport.broadcast($0, from: root) }
    var bytes = rank == root ? own : [UInt8](repeating: 0, count: Self.number(length))
    try bytes.withUnsafeMutableBytes { try transport.broadcast($0, from: root) }
    return bytes
  }

  private static func bytes(of number: Int) -> [UInt8] {
    withUnsafeBytes(of: Int64(number).littleEndian) { Array($0) }
  }

  private static func number(_ bytes: [UInt8]) -> Int {
    bytes.reversed().reduce(0) { $0 << 8 | Int($1) }
  }
}
