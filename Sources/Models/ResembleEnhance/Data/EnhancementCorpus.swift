import Base
import ModelInterface
import Tensors

/// Folders of speech, noise and room responses, and the samples that are made from them.
///
/// A sample is a function of the seed and its number alone, whoever asks for it and in which order: a run that
/// is continued meets the samples that it would have met.
struct EnhancementCorpus: Sendable {
  /// How samples are drawn.
  let options: CorpusOptions

  private let foreground: SampleFolder
  private let background: SampleFolder?
  private let rooms: SampleFolder?
  /// Where a file of the foreground stands: first those of training.
  private let order: Permutation
  private let warn: @Sendable (String) -> Void
  /// Files that were warned of.
  private let bad = Locked<Set<String>>([])

  private static let recordings: Set<String> = ["wav", "flac"]
  /// How many recordings are kept from training.
  static let validationCount = 10
  /// How often a sample is drawn again where a file cannot be read.
  private static let attempts = 100
  /// How often there is no speech in a sample.
  private static let silence: Float = 0.01

  /// Lists the folders.
  ///
  /// - Parameter warn: gets lines about what is left out: files that cannot be read, each once.
  /// - Throws: `noInput`, `badInput` for a folder that is missing or has too few files.
  init(_ options: CorpusOptions, warn: @escaping @Sendable (String) -> Void) throws {
    self.options = options
    self.warn = warn
    foreground = try SampleFolder(
      options.foreground, suffixes: Self.recordings, fewest: Self.validationCount + 1,
      purpose: "recordings of clean speech")
    if options.stage.distorts {
      background = try SampleFolder(
        options.background, suffixes: Self.recordings, fewest: 1, purpose: "recordings of noise")
      rooms = try SampleFolder(
        options.rooms, suffixes: Self.recordings.union(["npy"]), fewest: 1,
        purpose: "room responses")
    } else {
      (background, rooms) = (nil, nil)
    }
    // Whatever the seed of a run: another run must not train on what this one is validated with.
    order = Permutation(count: foreground.count, seed: 123, name: "split")
    if options.voiceChange > 0 {
      warn(
        "'praat_augment_prob' is \(options.voiceChange): voices are not changed, "
          + "which only the package can do")
    }
  }

  /// How many files are trained on.
  var count: Int { foreground.count - Self.validationCount }

  /// Tells this corpus from one with other files: their names below the folders, and their sizes.
  ///
  /// - Throws: `noInput` for a file that is there no longer.
  func digest() throws -> SHA256Digest {
    var hasher = SHA256Hasher()
    for folder in [foreground, background, rooms] { try folder?.update(&hasher) }
    return hasher.finish()
  }

  // MARK: Training

  /// A batch of training.
  ///
  /// - Parameters:
  ///   - number: 0 for the first.
  ///   - rows: which of its rows; nil for all.
  ///   - isParallel: whether files are read by as many threads as there are to spare.
  /// - Throws: `badInput` when one file after the other cannot be read.
  func batch(number: Int, seed: UInt64, rows: Range<Int>? = nil, isParallel: Bool = false) throws
    -> EnhancementBatch
  {
    var random = RandomNumbers(seed: seed, name: "batch \(number)")
    let distorts = options.stage == .flow || random.uniform() < options.distortion
    let alpha = Float(random.uniform(options.alphas))
    let rows = rows ?? 0..<options.rows
    let results = Locked([Result<Row, any Error>?](repeating: nil, count: rows.count))
    let make: @Sendable (Int) -> Void = { index in
      let result = Result {
        let sample = try sample(
          number: number * options.rows + rows.lowerBound + index, seed: seed,
          distortsForeground: distorts)
        return row(sample, alpha: alpha)
      }
      results.withLock { $0[index] = result }
    }
    if isParallel {
      ThreadBudget.forEach(rows.count, make)
    } else {
      for index in 0..<rows.count { make(index) }
    }
    return Self.batch(try results.withLock { $0 }.compactMap { try $0?.get() })
  }

  /// A sample of training. Each file of the foreground is the first choice of one in `count`.
  ///
  /// - Parameters:
  ///   - number: 0 for the first.
  ///   - distortsForeground: whether the distorted foreground is needed.
  /// - Throws: `badInput` when one file after the other cannot be read.
  func sample(number: Int, seed: UInt64, distortsForeground: Bool) throws -> TrainingSample {
    try firstReadable(Self.attempts) { attempt in
      let name = attempt == 0 ? "sample \(number)" : "sample \(number), attempt \(attempt)"
      var random = RandomNumbers(seed: seed, name: name)
      let (epoch, place) = number.quotientAndRemainder(dividingBy: count)
      let turn =
        attempt == 0
        ? Permutation(count: count, seed: seed, name: "epoch \(epoch)")[place]
        : random.index(below: count)
      return try sample(turn, name, seed, &random, distortsForeground)
    }
  }

  /// The first of some attempts that meets no file that cannot be read; those are warned of.
  private func firstReadable(
    _ attempts: Int, _ make: (_ attempt: Int) throws -> TrainingSample
  ) throws -> TrainingSample {
    var last = ""
    for attempt in 0..<attempts {
      do {
        return try make(attempt)
      } catch let failure as Failure where Self.isOfOneFile(failure) {
        last = failure.description
        if let path = failure.subject, bad.withLock({ $0.insert(path).inserted }) {
          warn(last + "; other files are taken instead")
        }
      }
    }
    throw Failure(
      .badInput, subject: options.foreground,
      problem: "\(attempts) samples in a row cannot be made, the last because of this: " + last)
  }

  /// Whether another file may do where this failed.
  private static func isOfOneFile(_ failure: Failure) -> Bool {
    [.badInput, .noInput, .inputOutput, .unsupportedFormat].contains(failure.kind)
  }

  private func sample(
    _ turn: Int, _ name: String, _ seed: UInt64, _ random: inout RandomNumbers,
    _ distortsForeground: Bool
  ) throws -> TrainingSample {
    let isSilent = random.uniform() < Self.silence
    let speech =
      isSilent
      ? [Float](repeating: 0, count: options.samples)
      : try crop(foreground.file(order[turn]), &random)
    var sample = TrainingSample(foreground: speech)
    guard let background else { return sample }
    // Draws of their own, so that what is not needed changes nothing else.
    var ofForeground = RandomNumbers(seed: seed, name: name + ", foreground")
    let chain = drawn(&ofForeground)
    if distortsForeground {
      // The overdrive would make a loud constant of silence.
      let isKept = isSilent && !options.followsPackage
      sample.distortedForeground = isKept ? speech : try distorted(speech, chain)
    }
    let noise = try crop(background.file(random.index(below: background.count)), &random)
    sample.distortedBackground = try distorted(noise, drawn(&random))
    return sample
  }

  private func drawn(_ random: inout RandomNumbers) -> [Distortion] {
    Distortion.drawn(
      &random, probability: options.stage == .denoiser ? 1 : 0.8, rooms: rooms?.count ?? 0)
  }

  private func crop(_ path: String, _ random: inout RandomNumbers) throws -> [Float] {
    let recording = try Recording(path: path)
    let start = random.index(below: max(0, recording.count - options.samples) + 1)
    return try cut(recording, from: start, count: options.samples)
  }

  private func cut(_ recording: Recording, from start: Int, count: Int) throws -> [Float] {
    let samples = try recording.samples(from: start, count: count)
    return peakNormalized(samples + repeatElement(0, count: count - samples.count))
  }

  private func distorted(_ samples: [Float], _ chain: [Distortion]) throws -> [Float] {
    let room: (Int) throws -> RoomResponse = { number in
      guard let rooms else { preconditionFailure("no rooms are drawn where there are none") }
      return try RoomResponse(path: rooms.file(number), asPackage: options.followsPackage)
    }
    return peakNormalized(
      try chain.reduce(samples) {
        try $1.apply(to: $0, rooms: room, asPackage: options.followsPackage)
      })
  }

  // MARK: Validation

  /// A recording that is kept from training, from its start, mixed half and half with noise: a batch of one
  /// row. The next one stands for a recording that cannot be read.
  ///
  /// - Parameter index: below ``validationCount``.
  /// - Throws: `badInput`, `noInput` when none can be read.
  func validation(_ index: Int) throws -> EnhancementBatch {
    let sample = try firstReadable(Self.validationCount) { attempt in
      try validationSample((index + attempt) % Self.validationCount)
    }
    return Self.batch([row(sample, alpha: 0.5, isValidation: true)])
  }

  private func validationSample(_ index: Int) throws -> TrainingSample {
    let recording = try Recording(path: foreground.file(order[count + index]))
    let length =
      options.followsPackage
      ? recording.count : min(recording.count, options.longestValidation)
    var sample = TrainingSample(foreground: try cut(recording, from: 0, count: length))
    guard let background else { return sample }
    let noise = try Recording(path: background.file(index % background.count))
    sample.distortedForeground = try distorted(sample.foreground, Distortion.ofValidation)
    sample.distortedBackground = try distorted(
      cut(noise, from: 0, count: length), Distortion.ofValidation)
    return sample
  }

  // MARK: Batches

  private struct Row: Sendable {
    var input: [Float]
    var target: [Float]
    var denoised: [Float]?
  }

  /// What the stages make of a sample.
  private func row(_ sample: TrainingSample, alpha: Float, isValidation: Bool = false) -> Row {
    let clean = sample.foreground
    guard let background = sample.distortedBackground else {
      return Row(input: clean, target: clean)
    }
    let distorted = sample.distortedForeground ?? clean
    guard options.stage == .flow else {
      return Row(input: mixture(distorted, background, alpha: alpha), target: distorted)
    }
    // Validated with clean speech in noise, as the package does.
    return Row(
      input: mixture(isValidation ? clean : distorted, background, alpha: alpha), target: clean,
      denoised: distorted)
  }

  private static func batch(_ rows: [Row]) -> EnhancementBatch {
    func tensor(_ rows: [[Float]]) -> Tensor {
      Tensor(Array(rows.joined()), shape: [rows.count, rows.first?.count ?? 0])
    }
    let denoised = rows.compactMap(\.denoised)
    return EnhancementBatch(
      input: tensor(rows.map(\.input)), target: tensor(rows.map(\.target)),
      denoised: denoised.isEmpty ? nil : tensor(denoised))
  }
}
