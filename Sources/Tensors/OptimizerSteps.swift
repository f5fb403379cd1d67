import CKernels

/// What one step of AdamW is made with.
public struct AdamWStep: Sendable {
  /// What gradients are multiplied with before use (clipping).
  public var gradientScale: Float
  /// The learning rate.
  public var rate: Float
  /// How much of the first moment is kept.
  public var firstDecay: Float
  /// How much of the second moment is kept.
  public var secondDecay: Float
  /// 1 - (decay of the first moment) to the power of the number of steps, this one included.
  public var firstCorrection: Float
  /// The same for the second moment.
  public var secondCorrection: Float
  /// Added to the root of the second moment.
  public var epsilon: Float
  /// Weight decay, decoupled from the gradient.
  public var weightDecay: Float

  /// The parts of one step.
  public init(
    gradientScale: Float, rate: Float, firstDecay: Float, secondDecay: Float,
    firstCorrection: Float, secondCorrection: Float, epsilon: Float, weightDecay: Float
  ) {
    self.gradientScale = gradientScale
    self.rate = rate
    self.firstDecay = firstDecay
    self.secondDecay = secondDecay
    self.firstCorrection = firstCorrection
    self.secondCorrection = secondCorrection
    self.epsilon = epsilon
    self.weightDecay = weightDecay
  }
}

extension Tensor {
  /// Changes a parameter and its two moments, in place, by one step of AdamW.
  public mutating func step(
    _ step: AdamWStep, gradient: Tensor, first: inout Tensor, second: inout Tensor
  ) {
    precondition(gradient.count == count && first.count == count && second.count == count)
    mutateTogether(&self, &first, &second) { parameter, first, second, range in
      ck_adamw(
        parameter, gradient.pointer + range.lowerBound, first, second, range.count,
        step.gradientScale, step.rate, step.firstDecay, step.secondDecay, step.firstCorrection,
        step.secondCorrection, step.epsilon, step.weightDecay)
    }
  }

  /// Moves a running average, in place: self = decay · self + (1 - decay) · value.
  public mutating func average(with value: Tensor, decay: Float) {
    precondition(value.count == count)
    mutate { target in
      guard let base = target.baseAddress.map(SharedPointer.init) else { return }
      parallelRanges(target.count) { range in
        ck_moving_average(
          base + range.lowerBound, value.pointer + range.lowerBound, range.count, decay)
      }
    }
  }

  /// Adds another tensor of the same count, in place.
  public mutating func accumulate(_ other: Tensor) {
    precondition(other.count == count)
    mutate { target in
      guard let base = target.baseAddress.map(SharedPointer.init) else { return }
      parallelRanges(target.count) { range in
        ck_accumulate(base + range.lowerBound, other.pointer + range.lowerBound, range.count)
      }
    }
  }

  /// The sum of all squares, in double precision, in parallel over fixed blocks in a fixed order.
  public var squaredNorm: Double {
    let grain = 1 << 15
    var sums = [Double](repeating: 0, count: (count + grain - 1) / grain)
    sums.withUnsafeMutableBufferPointer { sums in
      guard let base = sums.baseAddress else { return }
      let target = SharedSums(base: base)
      parallelRanges(count, grain: grain) { range in
        target.base[range.lowerBound / grain] = ck_sum_of_squares(
          pointer + range.lowerBound, range.count)
      }
    }
    return sums.reduce(0, +)
  }
}

private struct SharedSums: @unchecked Sendable {
  let base: UnsafeMutablePointer<Double>
}

/// Calls `body` for fixed ranges of three tensors of equal count, in parallel.
private func mutateTogether(
  _ a: inout Tensor, _ b: inout Tensor, _ c: inout Tensor,
  _ body:
    @Sendable (
      UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>,
      Range<Int>
    ) -> Void
) {
  a.mutate { a in
    b.mutate { b in
      c.mutate { c in
        guard let a = a.baseAddress.map(SharedPointer.init),
          let b = b.baseAddress.map(SharedPointer.init),
          let c2 = c.baseAddress.map(SharedPointer.init)
        else { return }
        parallelRanges(c.count) { range in
          body(a + range.lowerBound, b + range.lowerBound, c2 + range.lowerBound, range)
        }
      }
    }
  }
}

extension Tensor? {
  /// Adds another tensor of the same count, in place; nil counts as zeros.
  public mutating func accumulate(_ other: Tensor) {
    if self == nil { self = other } else { self?.accumulate(other) }
  }
}
