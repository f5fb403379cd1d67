import Base
import ModelInterface
import Tensors

/// The codec's decoder as a stage of its own: it decodes frames in order on another thread while the
/// language model makes the next ones. With one thread it decodes where it is asked to.
struct DecodingStage {
  /// What decodes; taken by one job at a time.
  private let decoder: Locked<any AudioDecoder>
  /// Frames that were not handed to a job yet.
  private var waiting: [Tensor] = []
  private var job: Job<[Float]>?
  private var isFresh = true
  private let largestBlock: Int
  private var block = 1
  /// Frames that may wait: the language model does not run away from a slow decoder.
  private static let mostWaiting = 16

  /// - Parameter largestBlock: frames that are gathered to be decoded together, which is faster. The
  ///   first blocks are smaller, so that speech begins soon.
  init(_ decoder: any AudioDecoder, largestBlock: Int = 1) {
    self.decoder = Locked(decoder)
    self.largestBlock = largestBlock
  }

  /// Hands over a frame.
  ///
  /// - Parameter latent: `[1, channels]`, not normalised.
  /// - Returns: the samples that are ready and were not handed out.
  mutating func decode(_ latent: Tensor) throws -> [Float] {
    waiting.append(latent)
    if isFresh {
      isFresh = false
      start()
      // Whoever listens hears the first frame as soon as can be.
      if let job { return try take(job) }
    }
    var samples: [Float] = []
    if let job, job.isDone || waiting.count >= Self.mostWaiting { samples = try take(job) }
    if job == nil, waiting.count >= block { start() }
    return samples
  }

  /// The samples that are left.
  mutating func finish() throws -> [Float] {
    var samples: [Float] = []
    if let job { samples = try take(job) }
    if !waiting.isEmpty { start() }
    if let job { samples += try take(job) }
    return samples
  }

  private mutating func take(_ job: Job<[Float]>) throws -> [Float] {
    self.job = nil
    return try CurrentSpeechBatch.stepOut { try job.value() }
  }

  private mutating func start() {
    let latents = concatenateRows(waiting)
    waiting = []
    block = min(2 * block, largestBlock)
    job = Job { [decoder] in
      ThreadBudget.inTurn { decoder.withLock { $0.decode(latents) } }
    }
  }
}
