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

  init(_ decoder: any AudioDecoder) {
    self.decoder = Locked(decoder)
    queue = ThreadBudget.available > 1 ? DispatchQueue(label: "decoder") : nil
  }

  /// Hands over a frame.
  ///
  /// - Parameter latent: `[1, channels]`, not normalised.
  func decode(_ latent: Tensor) {
    guard let queue else { return decodeNow(latent) }
    room.wait()
    queue.async(group: pending) { [self] in
      ThreadBudget.alone { decodeNow(latent) }
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
    pending.wait()
    return takeReady()
  }
}
