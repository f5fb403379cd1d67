import Records
import Safetensors

extension AlignedWords {
  /// Gives a piece its words, unless one of them is cut or it is not known whether it is inside.
  ///
  /// - Parameter range: seconds from the recording's begin.
  func mark(_ record: inout Record, _ range: Range<Double>) {
    var inside: [Int] = []
    for index in words.indices where isAligned(index) {
      let length = max(0.01, Double(ends[index] - starts[index]))
      let shared =
        min(range.upperBound, Double(starts[index]) + length)
        - max(range.lowerBound, Double(starts[index]))
      switch shared / length {
      case 0.9...: inside.append(index)
      case 0.1...: return
      default: break
      }
    }
    guard let first = inside.first, let last = inside.last else { return }
    let aligned = (first...last).filter(isAligned)
    guard aligned == inside, first == 0 || isAligned(first - 1),
      last == words.count - 1 || isAligned(last + 1)
    else { return }
    record.text = text(of: first...last)
    let shift = Float(range.lowerBound)
    func times(_ values: [Float]) -> [Float] {
      values[first...last].map { $0.isNaN ? $0 : max(0, $0 - shift) }
    }
    record.arrays["word_starts"] = ArrayData(times(starts))
    record.arrays["word_ends"] = ArrayData(times(ends))
  }
}

extension Record {
  /// Moves the word times by some seconds; none becomes negative, and none that is not known changes.
  mutating func shiftWords(by seconds: Float) throws {
    for name in ["word_starts", "word_ends"] {
      guard let array = arrays[name] else { continue }
      // max would turn NaN into 0 or not by the order of its arguments.
      let times = try array.floats().map { $0.isNaN ? $0 : max(0, $0 + seconds) }
      arrays[name] = ArrayData(times, shape: array.shape)
    }
  }
}
