/// The pieces of a vocabulary as a trie over bytes, for finding all pieces that begin at a place.
///
/// The children of a node are neighbours, ordered by label; the root's are found through a table.
struct PieceTrie: Sendable {
  private var labels: [UInt8] = [0]
  private var firstChild: [Int32] = [0]
  private var childCount: [Int16] = [0]
  private var ids: [Int32] = [-1]
  private var rootChild = [Int32](repeating: -1, count: 256)

  /// A trie of pieces; of equal ones the last counts.
  init(_ pieces: [(bytes: [UInt8], id: Int32)]) {
    let order = pieces.indices.sorted { left, right in
      if pieces[left].bytes.lexicographicallyPrecedes(pieces[right].bytes) { return true }
      if pieces[right].bytes.lexicographicallyPrecedes(pieces[left].bytes) { return false }
      return left < right
    }
    // Breadth first: a node is a range of the sorted pieces that share a prefix of some length.
    var queue = [(range: 0..<order.count, depth: 0)]
    var node = 0
    while node < queue.count {
      let (range, depth) = queue[node]
      var start = range.lowerBound
      while start < range.upperBound, pieces[order[start]].bytes.count == depth {
        ids[node] = pieces[order[start]].id
        start += 1
      }
      firstChild[node] = Int32(queue.count)
      while start < range.upperBound {
        let label = pieces[order[start]].bytes[depth]
        var end = start + 1
        while end < range.upperBound, pieces[order[end]].bytes[depth] == label { end += 1 }
        if node == 0 { rootChild[Int(label)] = Int32(queue.count) }
        childCount[node] += 1
        queue.append((start..<end, depth + 1))
        labels.append(label)
        firstChild.append(0)
        childCount.append(0)
        ids.append(-1)
        start = end
      }
      node += 1
    }
  }

  /// Calls `body` with the length and id of each piece that begins at a place, shortest first.
  @inline(__always)
  func forEachPiece(
    in bytes: UnsafeBufferPointer<UInt8>, from start: Int, _ body: (Int, Int32) -> Void
  ) {
    guard start < bytes.count else { return }
    var node = rootChild[Int(bytes[start])]
    var index = start + 1
    while node >= 0 {
      if ids[Int(node)] >= 0 { body(index - start, ids[Int(node)]) }
      guard index < bytes.count else { return }
      node = child(of: Int(node), bytes[index])
      index += 1
    }
  }

  /// The id of a whole piece.
  func id(of bytes: some Sequence<UInt8>) -> Int32? {
    var node: Int32 = 0
    for byte in bytes {
      node = node == 0 ? rootChild[Int(byte)] : child(of: Int(node), byte)
      guard node >= 0 else { return nil }
    }
    return ids[Int(node)] < 0 ? nil : ids[Int(node)]
  }

  private func child(of node: Int, _ label: UInt8) -> Int32 {
    var low = Int(firstChild[node])
    var high = low + Int(childCount[node])
    while low < high {
      let middle = (low + high) / 2
      if labels[middle] < label { low = middle + 1 } else { high = middle }
    }
    let found = low < Int(firstChild[node]) + Int(childCount[node]) && labels[low] == label
    return found ? Int32(low) : -1
  }
}
