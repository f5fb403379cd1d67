import Base
import Glibc
import Tensors

/// The field that moves generations: attraction to samples of the data, repulsion from each other, by
/// a kernel exp(-distance / temperature) on distances that are divided by their mean at each position.
struct DriftField: Sendable {
  /// The drift V of each generation, in the scaled coordinates of its position, not yet normalised:
  /// `[positions * draws, channels]`.
  var drift: Tensor
  /// What coordinates are divided by at each position.
  var scales: [Float]
  /// The root mean square of V at each position.
  var strengths: [Float]
  /// At each position the log-mass of the data in the kernel of the generation that has most of it,
  /// relative to a flat kernel.
  var logMasses: [Float]
  /// Its derivative in the temperature.
  var slopes: [Float]
  /// At each position the norm over channels of the deviation (unbiased) of the generations, in scaled
  /// coordinates.
  var spreads: [Float]

  /// - Parameters:
  ///   - generations: `[positions * draws, channels]`, position by position.
  ///   - samples: of the data: `[positions * samples, channels]`.
  ///   - temperature: of the kernel.
  ///   - smallestScale: what mean distances are at least taken for.
  init(
    generations: Tensor, draws: Int, samples: Tensor, positions: Int, temperature: Float,
    smallestScale: Float
  ) {
    let channels = generations.columns
    let perPosition = samples.rows / max(1, positions)
    let results = Results(positions: positions, draws: draws, channels: channels)
    generations.withValues { g in
      samples.withValues { y in
        let inputs = Inputs(generations: g, samples: y)
        ThreadBudget.forEach(positions) { position in
          var place = DriftPlace(draws: draws, samples: perPosition, channels: channels)
          place.load(
            inputs.generations[(position * draws * channels)..<((position + 1) * draws * channels)],
            inputs.samples[
              (position * perPosition * channels)..<((position + 1) * perPosition * channels)])
          place.measure(smallestScale: smallestScale)
          results.set(position, place.mass(temperature: temperature), place)
        }
      }
    }
    drift = Tensor(results.drift, shape: [positions * draws, channels])
    scales = results.column(0)
    strengths = results.column(1)
    logMasses = results.column(2)
    slopes = results.column(3)
    spreads = results.column(4)
  }

  private struct Inputs: @unchecked Sendable {
    let generations: UnsafeBufferPointer<Float>
    let samples: UnsafeBufferPointer<Float>
  }

  /// What positions write, each to places of its own.
  private final class Results: @unchecked Sendable {
    private let size: Int
    private let rows: UnsafeMutableBufferPointer<Float>
    private let facts: UnsafeMutableBufferPointer<Float>

    init(positions: Int, draws: Int, channels: Int) {
      size = draws * channels
      rows = .allocate(capacity: positions * size)
      facts = .allocate(capacity: positions * 5)
      rows.initialize(repeating: 0)
      facts.initialize(repeating: 0)
    }

    deinit {
      rows.deallocate()
      facts.deallocate()
    }

    func set(_ position: Int, _ mass: (log: Float, slope: Float), _ place: DriftPlace) {
      for (index, value) in place.drift.enumerated() { rows[position * size + index] = value }
      let values = [place.scale, place.strength, mass.log, mass.slope, place.spread]
      for (index, value) in values.enumerated() { facts[position * 5 + index] = value }
    }

    var drift: [Float] { Array(rows) }
    func column(_ index: Int) -> [Float] {
      stride(from: index, to: facts.count, by: 5).map { facts[$0] }
    }
  }
}

/// One position: all distances of its generations.
private struct DriftPlace {
  let draws: Int
  let samples: Int
  let channels: Int
  /// Samples, then generations: `[channels, samples + draws]`.
  private var points: [Float]
  /// `[draws, samples + draws]`
  private var distances: [Float]
  private(set) var drift: [Float]
  private(set) var scale: Float = 1
  private(set) var strength: Float = 0
  private(set) var spread: Float = 0

  private var count: Int { samples + draws }

  init(draws: Int, samples: Int, channels: Int) {
    self.draws = draws
    self.samples = samples
    self.channels = channels
    points = Array(repeating: 0, count: channels * (samples + draws))
    distances = Array(repeating: 0, count: draws * (samples + draws))
    drift = Array(repeating: 0, count: draws * channels)
  }

  mutating func load(
    _ generations: Slice<UnsafeBufferPointer<Float>>, _ data: Slice<UnsafeBufferPointer<Float>>
  ) {
    for (index, value) in data.enumerated() {
      points[(index % channels) * count + index / channels] = value
    }
    for (index, value) in generations.enumerated() {
      points[(index % channels) * count + samples + index / channels] = value
    }
    var variance: Float = 0
    for channel in 0..<channels {
      let values = points[(channel * count + samples)..<((channel + 1) * count)]
      let mean = values.reduce(0, +) / Float(draws)
      variance += values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Float(max(1, draws - 1))
    }
    spread = variance.squareRoot()
  }

  /// Distances divided by their mean, and that mean.
  mutating func measure(smallestScale: Float) {
    let count = count
    for row in 0..<draws {
      let line = row * count
      for channel in 0..<channels {
        let from = points[channel * count + samples + row]
        let base = channel * count
        for column in 0..<count {
          let difference = points[base + column] - from
          distances[line + column] += difference * difference
        }
      }
    }
    var sum: Double = 0
    for index in distances.indices {
      distances[index] = max(distances[index], 1e-8).squareRoot()
      sum += Double(distances[index])
    }
    let mean = Float(sum / Double(distances.count)) * Float(count) / Float(count - 1)
    let unit = max(mean, smallestScale)
    for index in distances.indices { distances[index] /= unit }
    // A generation neither attracts nor repels itself.
    for row in 0..<draws { distances[row * count + samples + row] += 100 }
    scale = unit / Float(channels).squareRoot()
    spread /= scale
  }

  /// The drift of all generations; returns the largest log-mass of the data and its derivative.
  mutating func mass(temperature: Float) -> (log: Float, slope: Float) {
    let count = count
    var rows = distances.map { -$0 / temperature }
    var columns = rows
    var largest: (log: Float, slope: Float) = (-.infinity, 0)
    for row in 0..<draws {
      let range = row * count..<(row + 1) * count
      let top = rows[range].max() ?? 0
      var (all, data, slopeAll, slopeData): (Float, Float, Float, Float) = (0, 0, 0, 0)
      for index in range {
        let mass = expf(rows[index] - top)
        let slope = mass * distances[index]
        all += mass
        slopeAll += slope
        if index - range.lowerBound < samples {
          data += mass
          slopeData += slope
        }
        rows[index] = mass
      }
      for index in range { rows[index] /= all }
      let log = logf(data) - logf(all) + logf(Float(draws) / Float(samples))
      if log > largest.log {
        let slope = (slopeData / data - slopeAll / all) / (temperature * temperature)
        largest = (log, slope)
      }
    }
    for column in 0..<count {
      var top = -Float.infinity
      for row in 0..<draws { top = max(top, columns[row * count + column]) }
      var all: Float = 0
      for row in 0..<draws {
        let mass = expf(columns[row * count + column] - top)
        columns[row * count + column] = mass
        all += mass
      }
      for row in 0..<draws { columns[row * count + column] /= all }
    }
    for index in rows.indices { rows[index] = max(rows[index] * columns[index], 1e-6).squareRoot() }
    pull(affinities: rows)
    return largest
  }

  private mutating func pull(affinities: [Float]) {
    let count = count
    var squares: Float = 0
    for row in 0..<draws {
      let line = affinities[row * count..<(row + 1) * count]
      let attraction = line.prefix(samples).reduce(0, +)
      let repulsion = line.dropFirst(samples).reduce(0, +)
      // All data pulls with the weight of the others, all others push with that of the data: the
      // two sums agree, so that nothing is left of the generation's own place.
      for channel in 0..<channels {
        let base = channel * count
        var (pulled, pushed): (Float, Float) = (0, 0)
        for index in 0..<samples { pulled += line[row * count + index] * points[base + index] }
        for index in samples..<count { pushed += line[row * count + index] * points[base + index] }
        let force = (repulsion * pulled - attraction * pushed) / scale
        drift[row * channels + channel] = force
        squares += force * force
      }
    }
    strength = max(squares / Float(draws * channels), 1e-8).squareRoot()
  }
}
