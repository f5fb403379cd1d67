import Base
import Foundation
import ModelInterface

/// How a run keeps to an amount of memory: what is inside of some layers is computed again in the
/// reverse pass rather than kept. The results are the same.
struct MemoryPlan {
  /// The fewest layers that are to be computed again.
  let recomputedLayers: Int

  /// - Parameters:
  ///   - limit: bytes of the process.
  ///   - positions: of the longest batch.
  ///   - gradients: bytes of the gradients, which are not there yet.
  /// - Throws: `usage` when even all layers are not enough.
  init(
    limit: Int, _ trainable: any Trainable, positions: Int, gradients: Int
  ) throws {
    // Copies of weights for products, pieces of the flow head, and batches that are read ahead.
    let rest = 256 << 20
    let begun = Self.resident + gradients + rest
    var needed = 0
    for layers in 0...trainable.layers {
      needed = begun + (try trainable.activationBytes(positions: positions, recomputing: layers))
      if needed <= limit {
        recomputedLayers = layers
        return
      }
    }
    throw Failure(
      .usage, problem: "--memory: a step needs about \(needed >> 20) MiB even so",
      remedy: "use a smaller --batch with a larger --accumulate, or a shorter --max-seconds")
  }

  /// Bytes that the process has in memory now.
  private static var resident: Int {
    guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8),
      let pages = text.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
    else { return 0 }
    return pages * Int(getpagesize())
  }
}
