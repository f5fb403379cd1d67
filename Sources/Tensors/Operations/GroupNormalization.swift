import Base
import CKernels

/// Norm over all steps and the channels of a group, of each element of the batch; inputs x
/// `[batch, ..., channels]`, and weight and bias `[channels]` if affine (Wu and He, 2018). The variance is
/// biased.
struct GroupNormalization: Operation {
  let groups: Int
  let epsilon: Float

  /// Rows of a block: sums of blocks are added in order, so that threads change nothing.
  private static let block = 64

  func value(_ inputs: [Tensor]) -> Tensor {
    let x = inputs[0]
    let (_, steps, channels) = Self.sizes(x)
    return Tensor(shape: x.shape) { target in
      let target = SharedPointer(target)
      for (image, map) in maps(inputs).enumerated() {
        let first = image * steps
        parallelRows(steps, columns: channels) { range in
          let place = (first + range.lowerBound) * channels
          ck_channel_map(
            0, x.pointer + place, map.pointer, map.pointer + channels, target + place, range.count,
            channels)
        }
      }
    }
  }

  /// The norm's GELU with zeros around it, as a convolution reads it.
  func paddedGELU(_ inputs: [Tensor], padding: ConvolutionShape.Extent) -> Tensor {
    let x = inputs[0]
    let channels = x.columns
    let (height, width) = x.shape.count == 4 ? (x.shape[1], x.shape[2]) : (1, x.shape[1])
    let (tall, wide) = (height + 2 * padding.height, width + 2 * padding.width)
    let shape = [x.shape[0]] + (x.shape.count == 4 ? [tall] : []) + [wide, channels]
    let side = padding.width * channels
    // Time is one row: it is worked on in pieces.
    let piece = max(1, (1 << 15) / channels)
    let pieces = (width + piece - 1) / piece
    return Tensor(shape: shape) { target in
      let target = SharedPointer(target)
      for (image, map) in maps(inputs).enumerated() {
        ThreadBudget.forEach(tall * pieces) { task in
          let (row, part) = task.quotientAndRemainder(dividingBy: pieces)
          let line = target + (image * tall + row) * wide * channels
          let source = row - padding.height
          guard (0..<height).contains(source) else {
            if part == 0 { line.update(repeating: 0, count: wide * channels) }
            return
          }
          if part == 0 { line.update(repeating: 0, count: side) }
          if part == pieces - 1 {
            (line + side + width * channels).update(repeating: 0, count: side)
          }
          let first = part * piece
          ck_channel_map(
            1, x.pointer + ((image * height + source) * width + first) * channels, map.pointer,
            map.pointer + channels, line + side + first * channels, min(piece, width - first),
            channels)
        }
      }
    }
  }

  /// Of each image what its channels are multiplied by and what is added.
  private func maps(_ inputs: [Tensor]) -> [Tensor] {
    (0..<inputs[0].shape[0]).map { image in
      map(
        moments(inputs[0], image), weight: inputs.dropFirst().first,
        bias: inputs.dropFirst(2).first)
    }
  }

  private static func sizes(_ x: Tensor) -> (images: Int, steps: Int, channels: Int) {
    let steps = x.shape.dropFirst().dropLast().reduce(1, *)
    return (x.shape[0], steps, x.columns)
  }

  /// Two numbers of each channel for each block of rows: `[blocks, 2 * channels]`.
  private func blockSums(
    _ x: Tensor, _ image: Int,
    _ compute: @Sendable (_ place: Int, _ rows: Int, UnsafeMutablePointer<Float>) -> Void
  ) -> Tensor {
    let (_, steps, channels) = Self.sizes(x)
    let blocks = (steps + Self.block - 1) / Self.block
    return Tensor(shape: [max(1, blocks), 2 * channels]) { target in
      let target = SharedPointer(target)
      parallelRanges(blocks, grain: max(1, (1 << 15) / (Self.block * channels))) { range in
        for index in range {
          let start = index * Self.block
          compute(
            (image * steps + start) * channels, min(Self.block, steps - start),
            target + 2 * index * channels)
        }
      }
    }
  }

  /// Of each group its mean and 1 / √(variance + epsilon).
  private func moments(_ x: Tensor, _ image: Int) -> [(mean: Double, scale: Double)] {
    let (_, steps, channels) = Self.sizes(x)
    let blocks = (steps + Self.block - 1) / Self.block
    let partials = blockSums(x, image) { place, rows, sums in
      ck_channel_moments(x.pointer + place, rows, channels, sums, sums + channels)
    }
    let width = channels / groups
    return partials.withValues { values in
      (0..<groups).map { group in
        // Chan, Golub and LeVeque: means and squared deviations of parts make those of the whole.
        var (count, mean, deviations) = (0.0, 0.0, 0.0)
        for index in 0..<blocks {
          let rows = Double(min(Self.block, steps - index * Self.block))
          for channel in group * width..<(group + 1) * width {
            let other = Double(values[2 * index * channels + channel])
            let difference = other - mean
            let total = count + rows
            mean += difference * rows / total
            deviations +=
              Double(values[(2 * index + 1) * channels + channel])
              + difference * difference * count * rows / total
            count = total
          }
        }
        let variance = deviations / max(1, count)
        return (mean, 1 / (variance + Double(epsilon)).squareRoot())
      }
    }
  }

  /// What each channel is multiplied by and what is added: `[2, channels]`.
  private func map(
    _ moments: [(mean: Double, scale: Double)], weight: Tensor?, bias: Tensor?
  ) -> Tensor {
    let width = (weight?.count ?? moments.count) / moments.count
    let channels = weight?.count ?? moments.count
    return Tensor(shape: [2, channels]) { target in
      for channel in 0..<channels {
        let (mean, scale) = moments[channel / width]
        let factor = scale * Double(weight?.pointer[channel] ?? 1)
        target[channel] = Float(factor)
        target[channels + channel] = Float(Double(bias?.pointer[channel] ?? 0) - mean * factor)
      }
    }
  }

  func readsInputs(_ wanted: [Bool]) -> [Bool] { wanted.indices.map { $0 < 2 } }

  func pullback(_ inputs: [Tensor], _ output: Tensor, _ gradient: Tensor, _ wanted: [Bool])
    -> [Tensor?]
  {
    let x = inputs[0]
    let weight = inputs.count > 1 ? inputs[1] : nil
    let (images, steps, channels) = Self.sizes(x)
    let width = channels / groups
    var parameters = [Double](repeating: 0, count: 2 * channels)
    let dx = Tensor(shape: x.shape) { target in
      let target = SharedPointer(target)
      for image in 0..<images {
        let moments = moments(x, image)
        let sums = gradientSums(x, gradient, image)
        // dx = a dy + b x + c: of each channel a, and of each group b and c.
        let map = Tensor(shape: [3, channels]) { map in
          for group in 0..<groups {
            let (mean, scale) = moments[group]
            let range = group * width..<(group + 1) * width
            let count = Double(steps * width)
            var (plain, normalised) = (0.0, 0.0)
            for channel in range {
              let w = Double(weight?.pointer[channel] ?? 1)
              let projection = scale * (sums.products[channel] - mean * sums.plain[channel])
              plain += w * sums.plain[channel]
              normalised += w * projection
              parameters[channel] += projection
              parameters[channels + channel] += sums.plain[channel]
            }
            let slope = -scale * scale * normalised / count
            let offset = -scale * plain / count - slope * mean
            for channel in range {
              map[channel] = Float(scale * Double(weight?.pointer[channel] ?? 1))
              map[channels + channel] = Float(slope)
              map[2 * channels + channel] = Float(offset)
            }
          }
        }
        parallelRows(steps, columns: channels) { range in
          let place = (image * steps + range.lowerBound) * channels
          ck_channel_combination(
            gradient.pointer + place, map.pointer, x.pointer + place, map.pointer + channels,
            map.pointer + 2 * channels, target + place, range.count, channels)
        }
      }
    }
    guard inputs.count > 1 else { return [dx] }
    let floats = parameters.map { Float($0) }
    return [
      dx, Tensor(Array(floats[..<channels])), Tensor(Array(floats[channels...])),
    ]
  }

  /// Of each channel the sum of the gradient, and of its products with x.
  private func gradientSums(
    _ x: Tensor, _ gradient: Tensor, _ image: Int
  ) -> (plain: [Double], products: [Double]) {
    let (_, steps, channels) = Self.sizes(x)
    let blocks = (steps + Self.block - 1) / Self.block
    let partials = blockSums(x, image) { place, rows, sums in
      ck_channel_products(
        x.pointer + place, gradient.pointer + place, rows, channels, sums, sums + channels)
    }
    return partials.withValues { values in
      var (plain, products) = (
        [Double](repeating: 0, count: channels), [Double](repeating: 0, count: channels)
      )
      for index in 0..<blocks {
        for channel in 0..<channels {
          plain[channel] += Double(values[2 * index * channels + channel])
          products[channel] += Double(values[(2 * index + 1) * channels + channel])
        }
      }
      return (plain, products)
    }
  }
}

extension Tensor {
  /// Norm over all steps and the channels of a group, with biased variance, of each element of a batch
  /// `[batch, ..., channels]`.
  ///
  /// - Parameters:
  ///   - weight: `[channels]`
  ///   - bias: `[channels]`
  public func groupNormalized(
    groups: Int, weight: Tensor, bias: Tensor, epsilon: Float
  ) -> Tensor {
    apply(GroupNormalization(groups: groups, epsilon: epsilon), [self, weight, bias])
  }

  /// The GELU (exact form) of the same with zeros around it, as a convolution reads it. Not recorded.
  public func groupNormalizedGELU(
    groups: Int, weight: Tensor, bias: Tensor, epsilon: Float, padding: ConvolutionShape.Extent
  ) -> Tensor {
    GroupNormalization(groups: groups, epsilon: epsilon)
      .paddedGELU([detached(), weight, bias], padding: padding)
  }

  /// Norm of each channel over all steps, with biased variance and without an affine part.
  public func instanceNormalized(epsilon: Float) -> Tensor {
    apply(GroupNormalization(groups: columns, epsilon: epsilon), [self])
  }
}
