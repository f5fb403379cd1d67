import Base
import ModelInterface
import NeuralNetworks
import Safetensors
import Tensors

/// Denoising and enhancing with the weights of a model directory.
struct Enhancer: SpeechEnhancer {
  private let subject: String
  private let parameters: HyperParameters
  private let weights: Weights
  private let shapes: [String: [Int]]
  private let stores: [PackedWeights]
  private let denoiser: Denoiser
  /// The other networks, read when they are asked for: denoising needs none of them.
  private let networks = Locked<EnhancerNetworks?>(nil)
  let sampleRate: Int

  /// Opens the weights and reads the denoiser's.
  ///
  /// - Parameter precision: float32, or bfloat16 for the flow and the vocoder.
  /// - Throws: `usage` for another precision.
  init(_ folder: ModelFolder, precision: WeightFormat) throws {
    guard precision != .int8 else {
      throw Failure(
        .usage, problem: "there is no --precision int8 for Resemble-Enhance",
        remedy: "use f32 or bf16")
    }
    let file = try folder.openWeights()
    let names = Dictionary(uniqueKeysWithValues: file.names.map { ($0, $0) })
    func weights(_ part: Part, _ format: WeightFormat) throws -> Weights {
      Weights(
        names, of: file,
        packed: try PackedWeights(of: folder.weights, part: part.rawValue, format: format))
    }
    try self.init(
      weights(.enhancer, precision), denoiser: weights(.denoiser, .float32),
      Dictionary(uniqueKeysWithValues: file.names.map { ($0, file.shape(of: $0) ?? []) }),
      folder.parameters, subject: folder.path)
  }

  /// With weights in memory.
  ///
  /// - Parameter tensors: by the package's names.
  init(_ tensors: [String: Tensor], _ parameters: HyperParameters, subject: String) throws {
    let weights = Weights(tensors, subject: subject, packing: .float32)
    try self.init(
      weights, denoiser: weights, tensors.mapValues(\.shape), parameters, subject: subject)
  }

  private init(
    _ weights: Weights, denoiser own: Weights, _ shapes: [String: [Int]],
    _ parameters: HyperParameters, subject: String
  ) throws {
    try parameters.requireComputable(file: subject)
    self.subject = subject
    self.parameters = parameters
    self.weights = weights
    self.shapes = shapes
    let hop = parameters.whole("hop_size")
    denoiser =
      switch parameters.part {
      case .enhancer:
        try Denoiser(own["denoiser"], DenoiserSizes(shapes, prefix: "denoiser."), hop: hop)
      case .denoiser: try Denoiser(own, DenoiserSizes(shapes), hop: hop)
      }
    stores = [own.store, weights.store].compactMap(\.self)
    own.store?.keep()
    sampleRate = parameters.whole("wav_rate")
  }

  /// Writes the weights as they are computed with to files beside them, unless they are there; the paths.
  func pack() throws -> [String] {
    if parameters.part == .enhancer { _ = try enhancer() }
    return try stores.prefix(parameters.part == .enhancer ? 2 : 1).map { store in
      try store.write()
      return store.path
    }
  }

  private func enhancer() throws -> EnhancerNetworks {
    try networks.withLock { networks in
      let read =
        try networks
        ?? EnhancerNetworks(weights, shapes, parameters, denoiser: denoiser)
      if networks == nil { weights.store?.keep() }
      networks = read
      return read
    }
  }

  func check(_ options: EnhancementOptions) throws {
    guard options.mode == .enhance else { return }
    guard parameters.part == .enhancer else { throw Failure.denoiserAlone(subject) }
    func require(_ isRight: Bool, _ problem: String, _ remedy: String) throws {
      if !isRight { throw Failure(.usage, problem: problem, remedy: remedy) }
    }
    try require(
      (0...1).contains(options.denoising), "--lambd \(options.denoising)",
      "give a number from 0 to 1")
    try require(
      (0...1).contains(options.temperature), "--tau \(options.temperature)",
      "give a number from 0 to 1")
    try require(
      (1...128).contains(options.evaluations), "--nfe \(options.evaluations)",
      "give a number from 1 to 128")
    // The package would decode the noise that it begins with.
    try require(
      options.followsPackage
        || Flow.steps(options.solver, evaluations: options.evaluations).steps > 0,
      "--nfe \(options.evaluations) makes no step of \(options.solver.rawValue)",
      "give 4 or more, or 1")
  }

  func makeStream(
    _ options: EnhancementOptions, onStep: @escaping @Sendable (_ samples: Int) throws -> Void
  ) throws -> any EnhancementStream {
    try check(options)
    return Stream(self, try options.mode == .enhance ? enhancer() : nil, options, onStep)
  }

  /// One recording, in chunks.
  private struct Stream: EnhancementStream {
    private var chunks: ChunkStream

    init(
      _ enhancer: Enhancer, _ networks: EnhancerNetworks?, _ options: EnhancementOptions,
      _ onStep: @escaping @Sendable (Int) throws -> Void
    ) {
      var random = TorchRandom(seed: options.seed)
      var done = 0
      chunks = ChunkStream(followsPackage: options.followsPackage) { chunk in
        let total = enhancer.steps(options)
        var step = 0
        let result = try enhancer.process(chunk, networks, options, &random) {
          step += 1
          try onStep(done + min(chunk.count, chunk.count * step / total))
        }
        done += chunk.count
        return result
      }
    }

    mutating func enhance(_ samples: [Float]) throws -> [Float] { try chunks.process(samples) }
    mutating func finish() throws -> [Float] { try chunks.finish() }
  }

  /// How often a chunk reports: before each evaluation, and some more.
  private func steps(_ options: EnhancementOptions) -> Int {
    options.mode == .enhance ? options.evaluations + 22 : 1
  }

  /// One chunk.
  ///
  /// - Parameter networks: those that enhance; nil to denoise.
  /// - Returns: no fewer samples but for less than a frame.
  func process(
    _ chunk: [Float], _ networks: EnhancerNetworks?, _ options: EnhancementOptions,
    _ random: inout TorchRandom,
    onStep: () throws -> Void
  ) throws -> [Float] {
    let samples = Tensor(chunk, shape: [1, chunk.count])
    try onStep()
    guard let networks else { return denoiser(samples).values }
    let draws = networks.draw(frames: chunk.count / networks.mel.hop, &random)
    return try networks.enhance(samples, options, draws, onStep: onStep).values
  }
}

extension EnhancerNetworks {
  /// What the package draws for a chunk, in its order.
  func draw(frames: Int, _ random: inout TorchRandom) -> Draws {
    func normal(_ channels: Int, _ steps: Int, _ random: inout TorchRandom) -> Tensor {
      Tensor(random.normal(channels * steps), shape: [channels, steps]).transposed()
        .reshaped([1, steps, channels])
    }
    var fixed = TorchRandom(seed: 0)
    let prior =
      hasFixedPrior
      ? normal(sizes.latents, frames, &fixed) : normal(sizes.latents, frames, &random)
    return Draws(
      prior: prior,
      noise: normal(Vocoder.noiseWidth, frames + Vocoder.extraFrames, &random))
  }
}
