import Base
import Foundation
import ModelInterface
import Safetensors
import Tensors

/// Start values of a new model, by name and shape, as the package's trainer begins: PyTorch's defaults.
struct InitialWeights {
  private let seed: UInt64
  private let parameters: HyperParameters
  private let shapes: [String: [Int]]

  init(seed: UInt64, parameters: HyperParameters, shapes: [String: [Int]]) {
    self.seed = seed
    self.parameters = parameters
    self.shapes = shapes
  }

  /// All of them.
  var tensors: [String: Tensor] {
    Dictionary(
      uniqueKeysWithValues: shapes.map { ($0.key, Tensor(values($0.key), shape: $0.value)) })
  }

  /// The values of a tensor of the model.
  func values(_ name: String) -> [Float] {
    guard let shape = shapes[name] else { return [] }
    let cut = name.lastIndex(of: ".")
    let (stem, leaf) = (cut.map { name[..<$0] } ?? "", cut.map { name[$0...] } ?? name[...])
    switch leaf {
    case "dummy", ".log_alpha", ".log_beta": return [Float](repeating: 0, count: shape[0])
    // Statistics are unknown until something was seen: the model then takes 0 and 1.
    case ".running_mean_unsafe", ".running_var_unsafe": return [.nan]
    case ".stft_magnitude_min":
      if case .number(let floor) = parameters["stft_magnitude_min"] { return [Float(floor)] }
      return [0]
    case ".window": return hannWindow(shape[0])
    case ".fb":
      return slaneyFilterBank(
        bins: shape[0], bands: shape[1], rate: Double(parameters.whole("wav_rate")))
    case ".filter": return antiAliasingFilter(shape[2])
    // The lengths of the directions beside them.
    case ".original0": return lengths(of: stem + ".original1")
    case ".bias":
      let weight =
        shapes["\(stem).weight"] ?? shapes["\(stem).parametrizations.weight.original1"] ?? []
      return weight.count > 1
        ? uniform(name, shape[0], weight) : [Float](repeating: 0, count: shape[0])
    default:
      let count = shape.reduce(1, *)
      return shape.count > 1 ? uniform(name, count, shape) : [Float](repeating: 1, count: count)
    }
  }

  /// Evenly within ±1 over the root of what goes into each output of a convolution of this shape.
  private func uniform(_ name: String, _ count: Int, _ shape: [Int]) -> [Float] {
    var random = RandomNumbers(seed: seed, name: name)
    let bound = 1 / Float(shape.dropFirst().reduce(1, *)).squareRoot()
    return (0..<count).map { _ in (2 * random.uniform() - 1) * bound }
  }

  private func lengths(of direction: String) -> [Float] {
    let values = values(direction)
    let rows = shapes[direction]?.first ?? 1
    let size = values.count / rows
    return (0..<rows).map { row in
      let sum = values[row * size..<(row + 1) * size].reduce(0) { $0 + Double($1) * Double($1) }
      return Float(sum.squareRoot())
    }
  }
}

/// Triangles on Slaney's mel scale, of equal area: `[bins, bands]`, bins up to half the rate.
private func slaneyFilterBank(bins: Int, bands: Int, rate: Double) -> [Float] {
  // Linear below 1 kHz, 15 there; 27 more for each factor of 6.4.
  let step = log(6.4) / 27
  func mel(_ hertz: Double) -> Double {
    hertz < 1000 ? hertz * 0.015 : 15 + log(hertz / 1000) / step
  }
  func hertz(_ mel: Double) -> Double { mel < 15 ? mel / 0.015 : 1000 * exp((mel - 15) * step) }
  let edges = (0...bands + 1).map { hertz(mel(rate / 2) * Double($0) / Double(bands + 1)) }
  var weights = [Float](repeating: 0, count: bins * bands)
  for bin in 0..<bins {
    let frequency = rate / 2 * Double(bin) / Double(bins - 1)
    for band in 0..<bands {
      let (low, middle, high) = (edges[band], edges[band + 1], edges[band + 2])
      let weight = min((frequency - low) / (middle - low), (high - frequency) / (high - middle))
      weights[bin * bands + band] = Float(max(0, weight) * 2 / (high - low))
    }
  }
  return weights
}

/// The low-pass filter around the vocoder's activations: a Kaiser window over a sinc at half of half the rate, of
/// sum 1.
private func antiAliasingFilter(_ taps: Int) -> [Float] {
  func bessel(_ x: Double) -> Double {
    var (sum, term, index) = (1.0, 1.0, 1.0)
    while term > sum * 1e-17 {
      term *= x * x / (4 * index * index)
      sum += term
      index += 1
    }
    return sum
  }
  let attenuation = 2.285 * (Double(taps) / 2 - 1) * .pi * 1.2 + 7.95
  let beta = 0.1102 * (attenuation - 8.7)
  let values = (0..<taps).map { tap -> Double in
    let place = Double(tap) - Double(taps - 1) / 2
    let edge = 2 * place / Double(taps - 1)
    let argument = place / 2 * .pi
    return bessel(beta * (1 - edge * edge).squareRoot())
      * (argument == 0 ? 1 : sin(argument) / argument)
  }
  let sum = values.reduce(0, +)
  return values.map { Float($0 / sum) }
}

/// Writes a model directory with random weights.
func initializeModel(_ request: ModelInitialization) throws {
  guard request.tokenizer == nil else {
    throw Failure(
      .usage, subject: request.configuration,
      problem: "a model of Resemble-Enhance has no tokenizer",
      remedy: "leave out --tokenizer")
  }
  let specification = try ModelSpecification(request.configuration)
  let parameters = specification.parameters
  let shapes = try specification.shapes(request.configuration)
  try createDirectory(request.directory)
  let folder = ModelFolder(path: request.directory, parameters: parameters)
  let initial = InitialWeights(
    seed: request.seed, parameters: parameters,
    shapes: shapes)
  try AtomicFile.write(folder.yaml, to: folder.configuration)
  try writeSafetensors(
    shapes.map { (name: $0.key, type: ElementType.f32, shape: $0.value) }, metadata: [:],
    to: folder.weights
  ) { name, _, write in
    try RunMonitor.current.check()
    try initial.values(name).withUnsafeBytes(write)
  }
}

extension ModelSpecification {
  /// The shapes of the model's tensors.
  ///
  /// - Throws: `configuration` for sizes that it cannot have.
  func shapes(_ subject: String) throws -> [String: [Int]] {
    let layout = StateLayout(parameters.part, sizes.counts)
    guard let shapes = layout.shapes(parameters, sizes.letters) else {
      throw Failure.configuration(
        subject, "sizes that the model cannot have", "use those of the trainer")
    }
    return Dictionary(uniqueKeysWithValues: shapes.map { ($0.name, $0.shape) })
  }
}
