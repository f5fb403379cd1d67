/// A recording of any length through a model that takes stretches of it: chunks of 30 s that overlap by 1 s,
/// faded over.
///
/// Samples come in pieces, however cut, and go out as soon as nothing more can change them: as many as came
/// in, in memory that does not grow. The model is given each chunk with its peak at 1 and some zeros behind it.
///
/// Where the package goes wrong this does not, unless it is asked to. The package looks
/// for a lag between two chunks; but the models keep time, so that one that is found is a mistake, most of
/// all before a last chunk that is shorter than the overlap. Here chunks stay where they were cut, and a last
/// one that the chunk before it has whole is not made at all.
struct ChunkStream {
  /// What a model does to one chunk, which has the zeros behind it already: no fewer samples come back than the
  /// chunk has without them.
  typealias Model = (_ chunk: [Float]) throws -> [Float]

  private let length: Int
  private let overlap: Int
  private let model: Model
  /// Searches for lags; nil where there are none.
  private let lag: ChunkLag?
  private var hop: Int { length - overlap }

  /// The input from the next chunk's beginning on.
  private var input: [Float] = []
  /// Chunks made so far.
  private var chunks = 0
  /// The end of the last one, as the model gave it.
  private var tail: [Float] = []
  /// The output that is not out yet, and how much is.
  private var output: [Float] = []
  private var produced = 0

  /// Zeros that the package puts behind a chunk.
  private static let margin = 441
  /// The shortest stretch that a model can take.
  private static let shortest = 841

  /// - Parameters:
  ///   - length: samples of a chunk.
  ///   - overlap: samples that it shares with the next one.
  ///   - followsPackage: whether lags are searched for and the last chunk may be shorter than the overlap.
  ///     What the package cannot do at all, it does not follow.
  init(
    length: Int = 30 * 44100, overlap: Int = 44100, followsPackage: Bool = false,
    model: @escaping Model
  ) {
    precondition(length > 2 * overlap && overlap >= ChunkLag.fewestSamples, "chunks that overlap")
    (self.length, self.overlap, self.model) = (length, overlap, model)
    lag = followsPackage ? ChunkLag() : nil
  }

  /// - Returns: the samples that are ready now.
  mutating func process(_ samples: [Float]) throws -> [Float] {
    var ready: [Float] = []
    var rest = samples[...]
    repeat {
      // One more than a chunk has: then there is another one after it.
      let part = rest.prefix(length + 1 - input.count)
      input += part
      rest = rest.dropFirst(part.count)
      if input.count > length {
        try add(isLast: false)
        ready += take(chunks * hop - (lag == nil ? 0 : ChunkLag.largest(overlap)))
      }
    } while !rest.isEmpty
    return ready
  }

  /// The remaining samples; the value is used up afterwards.
  mutating func finish() throws -> [Float] {
    let total = chunks * hop + input.count
    while input.count > (chunks > 0 ? redundant : 0) {
      try add(isLast: input.count - hop <= redundant)
    }
    return take(total)
  }

  /// Samples at the end of a recording that need no chunk of their own, since the one before has them.
  private var redundant: Int { lag == nil ? overlap : 0 }

  /// The chunk at the beginning of the input.
  private mutating func add(isLast: Bool) throws {
    let count = min(length, input.count)
    var chunk = try enhanced(Array(input[..<count]))
    var start = chunks * hop
    if let lag {
      if chunks > 0 {
        let begin = chunk.prefix(overlap)
        start -= lag(tail, begin + Array(repeating: 0, count: overlap - begin.count))
      }
      tail = Array(chunk.suffix(overlap))
    }
    if chunks > 0 {
      for index in 0..<min(overlap, count) { chunk[index] *= rise(index) }
    }
    if !isLast {
      for index in hop..<max(hop, count) { chunk[index] *= rise(length - 1 - index) }
    }
    let end = start + count - produced
    if end > output.count { output += Array(repeating: 0, count: end - output.count) }
    for index in 0..<count { output[start - produced + index] += chunk[index] }
    input.removeFirst(min(hop, input.count))
    chunks += 1
  }

  /// From 0 to 1 over the overlap; with what it has at the mirrored place its sum is 1.
  private func rise(_ index: Int) -> Float {
    let step = 1 / Float(overlap - 1)
    return index < overlap / 2 ? Float(index) * step : 1 - Float(overlap - 1 - index) * step
  }

  /// What the model makes of a chunk, in the loudness of the chunk.
  private func enhanced(_ chunk: [Float]) throws -> [Float] {
    let peak = chunk.reduce(1e-7) { max($0, abs($1)) }
    let padded = max(chunk.count + Self.margin, Self.shortest)
    let given = chunk.map { $0 / peak } + Array(repeating: 0, count: padded - chunk.count)
    let result = try model(given)
    precondition(result.count >= chunk.count, "a model gives no fewer samples")
    return result[..<chunk.count].map { $0 * peak }
  }

  /// The output up to a sample; zeros where no chunk reached.
  private mutating func take(_ end: Int) -> [Float] {
    let count = max(0, end - produced)
    if output.count < count { output += Array(repeating: 0, count: count - output.count) }
    defer { output.removeFirst(count) }
    produced += count
    return Array(output[..<count])
  }
}
