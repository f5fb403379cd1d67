internal import Base

/// The BPE model of a `tokenizer.json`: characters, merged pair by pair in the order of the merges.
struct BytePairModel: Sendable {
  /// What a pair merges into, and how early.
  struct Merge: Sendable {
    var rank: Int32
    var id: Int32
  }

  /// Two neighbouring ids.
  struct Pair: Hashable, Sendable {
    var left: Int32
    var right: Int32
  }

  /// The ids by piece.
  let vocabulary: [[UInt8]: Int32]
  private let merges: [Pair: Merge]
  private let unknown: Int32?
  private let fuseUnknown: Bool
  private let ignoreMerges: Bool
  private let byteIDs: [Int32]?

  init(
    vocabulary: [[UInt8]: Int32], merges: [Pair: Merge], unknown: Int32?, fuseUnknown: Bool,
    byteFallback: Bool, ignoreMerges: Bool
  ) {
    self.vocabulary = vocabulary
    self.merges = merges
    self.unknown = unknown
    self.fuseUnknown = fuseUnknown
    self.ignoreMerges = ignoreMerges
    byteIDs = byteFallback ? bytePieceIDs { vocabulary[$0] } : nil
  }

  /// Appends the ids of one word, which is UTF-8.
  func encode(_ word: [UInt8], into ids: inout [Int32]) {
    if ignoreMerges, let id = vocabulary[word] {
      ids.append(id)
      return
    }
    ids += merged(characters(of: word))
  }

  /// The ids before merging. A character that is no piece becomes its bytes, else the unknown token
  /// (one for a run of them when fusing), else nothing.
  private func characters(of word: [UInt8]) -> [Int32] {
    var ids: [Int32] = []
    var pending: Int32?
    for scalar in String(decoding: word, as: UTF8.self).unicodeScalars {
      let bytes = Array(UTF8.encode(scalar) ?? .init())
      if let id = vocabulary[bytes] {
        if let unknown = pending { ids.append(unknown) }
        pending = nil
        ids.append(id)
      } else if let byteIDs, bytes.allSatisfy({ byteIDs[Int($0)] >= 0 }) {
        // A pending unknown stays pending, as in the `tokenizers` package.
        ids += bytes.map { byteIDs[Int($0)] }
      } else if let unknown {
        if let earlier = pending, !fuseUnknown { ids.append(earlier) }
        pending = unknown
      }
    }
    if let unknown = pending { ids.append(unknown) }
    return ids
  }

  private struct Candidate {
    var merge: Merge
    var position: Int
    func precedes(_ other: Candidate) -> Bool {
      (merge.rank, position) < (other.merge.rank, other.position)
    }
  }

  /// Merges the earliest pair, leftmost first, until no pair can be merged.
  private func merged(_ characters: [Int32]) -> [Int32] {
    var ids = characters
    var previous = ids.indices.map { $0 - 1 }
    var next = ids.indices.map { $0 + 1 }
    var alive = [Bool](repeating: true, count: ids.count)
    var heap = Heap<Candidate> { $0.precedes($1) }
    func offer(_ left: Int, _ right: Int) {
      guard left >= 0, right < ids.count,
        let merge = merges[Pair(left: ids[left], right: ids[right])]
      else { return }
      heap.insert(Candidate(merge: merge, position: left))
    }
    for index in ids.indices { offer(index, index + 1) }
    while let candidate = heap.popFirst() {
      let left = candidate.position
      guard alive[left], next[left] < ids.count else { continue }
      let right = next[left]
      // The neighbours may have changed since this was queued.
      guard merges[Pair(left: ids[left], right: ids[right])]?.id == candidate.merge.id else {
        continue
      }
      ids[left] = candidate.merge.id
      alive[right] = false
      next[left] = next[right]
      if next[right] < ids.count { previous[next[right]] = left }
      offer(previous[left], left)
      offer(left, next[left])
    }
    return ids.indices.filter { alive[$0] }.map { ids[$0] }
  }
}

/// A binary heap.
private struct Heap<Element> {
  private var elements: [Element] = []
  private let precedes: (Element, Element) -> Bool

  init(_ precedes: @escaping (Element, Element) -> Bool) { self.precedes = precedes }

  mutating func insert(_ element: Element) {
    elements.append(element)
    var child = elements.count - 1
    while child > 0, precedes(elements[child], elements[(child - 1) / 2]) {
      elements.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func popFirst() -> Element? {
    guard let first = elements.first, let last = elements.popLast() else { return nil }
    guard !elements.isEmpty else { return first }
    elements[0] = last
    var parent = 0
    while true {
      var child = 2 * parent + 1
      guard child < elements.count else { return first }
      if child + 1 < elements.count, precedes(elements[child + 1], elements[child]) { child += 1 }
      guard precedes(elements[child], elements[parent]) else { return first }
      elements.swapAt(parent, child)
      parent = child
    }
  }
}
