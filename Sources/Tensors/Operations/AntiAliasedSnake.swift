import Base
import CKernels

/// x + sin²(αx) / β (SnakeBeta), computed at twice the rate so that the overtones it makes do not fold back
/// (Karras et al., 2021; Lee et al., 2023). Inputs x `[batch, steps, channels]`, and α and 1/β `[channels]`.
struct AntiAliasedSnake: Operation {
  /// The filter before, and the one after: 12 taps each.
  let up: [Float]
  let down: [Float]

  /// Steps of a block: what it makes at twice the rate stays in a core's cache.
  private static let block = 64

  func value(_ inputs: [Tensor]) -> Tensor {
    let (x, alpha, scale) = (inputs[0], inputs[1], inputs[2])
    let (steps, channels) = (x.shape[1], x.columns)
    let blocks = (steps + Self.block - 1) / Self.block
    return Tensor(shape: x.shape) { target in
      let target = SharedPointer(target)
      parallelRanges(x.shape[0] * blocks, grain: 4) { range in
        let capacity = (2 * Self.block + 10) * channels
        withUnsafeTemporaryAllocation(of: Float.self, capacity: capacity) { room in
          guard let room = room.baseAddress else { return }
          for task in range {
            let (row, index) = task.quotientAndRemainder(dividingBy: blocks)
            let first = index * Self.block
            let place = row * steps * channels
            ck_snake(
              x.pointer + place, alpha.pointer, scale.pointer, up, down, target + place, steps,
              channels, first, min(Self.block, steps - first), room)
          }
        }
      }
    }
  }

  func readsInputs(_ wanted: [Bool]) -> [Bool] { [true, true, true] }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    let (x, alpha, scale) = (inputs[0], inputs[1], inputs[2])
    let (batch, steps, channels) = (x.shape[0], x.shape[1], x.columns)
    let width = min(16, channels)
    let parts = (channels + width - 1) / width
    let sums = Tensor(shape: [batch, 2 * channels], fill: { _ in })
    let partials = SharedPointer(sums.storage.floats)
    let dx = Tensor(shape: x.shape) { target in
      let target = SharedPointer(target)
      ThreadBudget.forEach(batch * parts) { task in
        let (row, part) = task.quotientAndRemainder(dividingBy: parts)
        let channel = part * width
        let count = min(width, channels - channel)
        let place = row * steps * channels + channel
        let room = Storage(count: (2 * steps + 2) * count)
        let sums = partials + 2 * row * channels + channel
        ck_snake_gradient(
          x.pointer + place, alpha.pointer + channel, scale.pointer + channel, up, down,
          gradient.pointer + place, target + place, sums, sums + channels, steps, channels, count,
          room.floats)
      }
    }
    let total = Tensor(shape: [2, channels]) { target in
      ck_column_sums(sums.pointer, target, batch, 2 * channels)
    }
    return [
      dx, total.rows(0..<1).reshaped([channels]), total.rows(1..<2).reshaped([channels]),
    ]
  }
}

extension Tensor {
  /// x + sin²(αx) / β at twice the rate: `[batch, steps, channels]`.
  ///
  /// - Parameters:
  ///   - alpha: `[channels]`
  ///   - scale: 1/β, `[channels]`.
  ///   - up: the filter before, 12 taps.
  ///   - down: the filter after, 12 taps.
  public func antiAliasedSnake(alpha: Tensor, scale: Tensor, up: Tensor, down: Tensor) -> Tensor {
    precondition(up.count == 12 && down.count == 12, "filters of 12 taps")
    return apply(AntiAliasedSnake(up: up.values, down: down.values), [self, alpha, scale])
  }
}
