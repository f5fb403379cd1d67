import Base
import Dispatch
import ModelInterface
import Tensors

/// The codec's decoder as a stage of its own: it decodes frames in order on another thread while the
/// language model makes the next ones. With one thread it decodes where it is asked to.
final class DecodingStage: Sendable {
  /// Taken out while a frame is decoded: a state that two hold would be copied.
  private let decoder: Locked<(any AudioDecoder)?>
  private let ready = Locked<[[Float]]>([])
  private let queue: DispatchQueue?
  /// Frames that may wait: the language model does not run away from a slow decoder.
  private let room = DispatchSemaphore(value: 8)
  private let pending = DispatchGroup()
  private let block: Int
  /// Frames that wait for their block to be full.
  private let gathered = Locked<[Tensor]>([])

  /// - Parameter block: frames that are decoded together.
  init(_ decoder: any AudioDecoder, block: Int = 1) {
    self.decoder = Locked(decoder)
    self.block = block
    queue = ThreadBudget.available > 1 ? DispatchQueue(label: "decoder") : nil
  }

  /// Hands over a frame; it is decoded once its block is full.
  ///
  /// - Parameter latent: `[1, channels]`, not normalised.
  func decode(_ latent: Tensor) {
    let full: [Tensor] = gathered.withLock { gathered in
      gathered.append(latent)
      guard gathered.count == block else { return [] }
      defer { gathered = [] }
      return gathered
    }
    if !full.isEmpty { start(concatenateRows(full)) }
  }

  private func start(_ latent: Tensor) {
    guard let queue else { return decodeNow(latent) }
    room.wait()
    queue.async(group: pending) { [self] in
      ThreadBudget.beside { decodeNow(latent) }
      room.signal()
    }
  }

  private func decodeNow(_ latent: Tensor) {
    var current = decoder.withLock { decoder in
      defer { decoder = nil }
      return decoder
    }
    guard let samples = current?.decode(latent) else { return }
    decoder.withLock { [current] in $0 = current }
    ready.withLock { $0.append(samples) }
  }

  /// The frames that were decoded since the last call, in order.
  func takeReady() -> [[Float]] {
    ready.withLock { ready in
      defer { ready = [] }
      return ready
    }
  }

  /// All frames that are left, in order.
  func finish() -> [[Float]] {
    let rest = gathered.withLock { $0 }
    if !rest.isEmpty { start(concatenateRows(rest)) }
    pending.wait()
    return takeReady()
  }
}
