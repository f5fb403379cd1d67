import Base

/// Splits 0 ..< count into ranges of a fixed size and works on them in parallel.
func parallelRanges(
  _ count: Int, grain: Int = 1 << 15, _ body: @Sendable (Range<Int>) -> Void
) {
  let pieces = (count + grain - 1) / grain
  guard pieces > 1 else {
    if count > 0 { body(0..<count) }
    return
  }
  ThreadBudget.forEach(pieces) { piece in
    body(piece * grain..<min(count, (piece + 1) * grain))
  }
}

/// Splits rows into blocks of about `grain` elements and works on them in parallel.
func parallelRows(
  _ rows: Int, columns: Int, grain: Int = 1 << 15, _ body: @Sendable (Range<Int>) -> Void
) {
  parallelRanges(rows, grain: max(1, grain / max(1, columns)), body)
}

/// A pointer that several threads may use at a time because each works on its own part.
struct SharedPointer: @unchecked Sendable {
  let base: UnsafeMutablePointer<Float>
  init(_ base: UnsafeMutablePointer<Float>) { self.base = base }
  static func + (pointer: SharedPointer, offset: Int) -> UnsafeMutablePointer<Float> {
    pointer.base + offset
  }
}
